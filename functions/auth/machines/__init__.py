"""Service accounts and API keys."""
