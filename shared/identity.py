"""Who calls: an access token verified (RFC 9068, RFC 8725) and turned into a `Principal`."""

from datetime import datetime

import msgspec


class Principal(msgspec.Struct, frozen=True):
    """A verified caller. The tenant comes from here and from nowhere else."""

    tenant_id: str
    subject: str
    client_id: str
    scopes: frozenset[str]
    roles: tuple[str, ...]
    tier: str
    token_id: str
    issued_at: datetime
    expires_at: datetime
    session_id: str | None = None
