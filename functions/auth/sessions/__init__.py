"""The start and the end of sessions, and browser sessions."""
