"""Mails: rendered, and handed to a transport."""
