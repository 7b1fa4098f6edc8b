"""Client ids: the first-party app, and service accounts, whose id carries their tenant."""

import re

APP = "energent-app"
"""The public client (RFC 6749 §2.1) in whose name people sign in; it has no secret."""

_CLIENT_ID = re.compile(r"([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{1,64})")


def of(tenant_id: str, account_id: str) -> str:
    return f"{tenant_id}.{account_id}"


def parse(text: str) -> tuple[str, str] | None:
    """Tenant id and service account id; None for what cannot be a client id."""
    match = _CLIENT_ID.fullmatch(text)
    return None if match is None else (match[1], match[2])
