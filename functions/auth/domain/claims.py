"""What an access token says (RFC 9068 §2.2), and what an ID token says (OpenID Connect Core §2)."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

import msgspec

from functions.auth.domain.assurance import acr_of
from functions.auth.domain.session import Session
from shared import base64url

LIFETIME_SECONDS = 600


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """`sid`, `auth_time`, `acr` and `amr` are in the tokens of people only."""

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
    auth_time: int | None = None
    acr: str | None = None
    amr: tuple[str, ...] = ()


class IdClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """Without e-mail and name, which userinfo has (§5.4). `sub` is one person's within `tid`."""

    iss: str
    sub: str
    aud: str
    exp: int
    iat: int
    auth_time: int
    acr: str
    amr: tuple[str, ...]
    sid: str
    tid: str
    at_hash: str
    nonce: str | None = None


def scope_text(scopes: Iterable[str]) -> str:
    """RFC 6749 §3.3, in one order always."""
    return " ".join(sorted(scopes))


def build(
    *,
    issuer: str,
    audience: str,
    subject: str,
    client_id: str,
    tenant_id: str,
    tier: str,
    scope: str,
    roles: tuple[str, ...],
    token_id: str,
    at: datetime,
    lifetime_seconds: int,
    session: Session | None,
) -> Claims:
    """`session`: that of the person; None for a machine."""
    issued_at = int(at.timestamp())
    claims = Claims(
        iss=issuer,
        aud=audience,
        sub=subject,
        client_id=client_id,
        tid=tenant_id,
        scope=scope,
        roles=roles,
        tier=tier,
        iat=issued_at,
        exp=issued_at + lifetime_seconds,
        jti=token_id,
    )
    if session is None:
        return claims
    return msgspec.structs.replace(
        claims,
        sid=session.id,
        auth_time=int(session.authenticated_at.timestamp()),
        acr=acr_of(session.amr),
        amr=session.amr,
    )


def of_person(
    session: Session, tenant_id: str, *, issuer: str, at: datetime, access_token: str, nonce: str | None
) -> IdClaims:
    """An ID token for the session's client. `access_token` is the one that it is handed out with."""
    issued_at = int(at.timestamp())
    return IdClaims(
        iss=issuer,
        sub=session.user_id,
        aud=session.client_id,
        exp=issued_at + LIFETIME_SECONDS,
        iat=issued_at,
        auth_time=int(session.authenticated_at.timestamp()),
        acr=acr_of(session.amr),
        amr=session.amr,
        sid=session.id,
        tid=tenant_id,
        at_hash=_left_half(access_token),
        nonce=nonce,
    )


def _left_half(token: str) -> str:
    """`at_hash` (§3.1.3.6) with the hash of ES256."""
    digest = hashlib.sha256(token.encode()).digest()
    return base64url.encode(digest[:16])
