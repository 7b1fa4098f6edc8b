"""What an access token says (RFC 9068 §2.2)."""

from collections.abc import Iterable
from datetime import datetime

import msgspec

LIFETIME_SECONDS = 600


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    iss: str
    aud: str
    sub: str
    client_id: str
    tid: str
    scope: str
    roles: tuple[str, ...]
    tier: str
    iat: int
    exp: int
    jti: str
    sid: str | None = None


def scope_text(scopes: Iterable[str]) -> str:
    """RFC 6749 §3.3, in one order always."""
    return " ".join(sorted(scopes))


def build(
    *,
    issuer: str,
    subject: str,
    client_id: str,
    tenant_id: str,
    tier: str,
    scope: str,
    roles: tuple[str, ...],
    token_id: str,
    at: datetime,
    session_id: str | None,
) -> Claims:
    """Issuer and audience are the same public address: one API, one token for it."""
    issued_at = int(at.timestamp())
    return Claims(
        iss=issuer,
        aud=issuer,
        sub=subject,
        client_id=client_id,
        tid=tenant_id,
        scope=scope,
        roles=roles,
        tier=tier,
        iat=issued_at,
        exp=issued_at + LIFETIME_SECONDS,
        jti=token_id,
        sid=session_id,
    )
