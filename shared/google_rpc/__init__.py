"""Google's messages and channels without Google's clients, whose import took a third of a start.

docs/decisions/0024-google-without-clients.md says what that costs.
"""
