"""Client ids: that of the first-party app, and those of tenants' machines and applications."""

import re

APP = "energent-app"
"""The public client (RFC 6749 §2.1) in whose name people sign in; it has no secret."""
PAGES = "energent-pages"
"""In whose name people sign in on the hosted pages, to sessions that have no tokens."""

_CLIENT_ID = re.compile(r"([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{1,64})")


def of(tenant_id: str, own_id: str) -> str:
    """Of an OAuth client, a service account or an API key."""
    return f"{tenant_id}.{own_id}"


def parse(text: str) -> tuple[str, str] | None:
    """Tenant id and own id; None for what cannot be a client id."""
    match = _CLIENT_ID.fullmatch(text)
    return None if match is None else (match[1], match[2])
