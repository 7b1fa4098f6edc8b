"""Signing in: the first factor, the second where there is one, and step-up."""
