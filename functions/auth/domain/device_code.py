"""The device flow's grant (RFC 8628): asked for by a device, decided by a person, redeemed once."""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from functions.auth.domain.sealed import Seal, SealingKeys
from functions.auth.domain.session import Session
from shared.errors import OAuthError

LIFETIME = timedelta(minutes=10)
INTERVAL_SECONDS = 5
"""Between two polls, and how much longer after each that came too early (§3.5)."""
REMEMBERED = timedelta(hours=1)

Decision = Literal["pending", "allowed", "denied"]


class DeviceGrant(msgspec.Struct, frozen=True):
    """One device's wish. `user_id` and how that person signed in are known once it is `allowed`;
    `session_id` once the device has its tokens.
    """

    client_id: str
    scopes: tuple[str, ...]
    device_code_sha256: str
    decision: Decision
    valid_until: datetime
    expires_at: datetime
    user_id: str = ""
    browser_session_id: str = ""
    authenticated_at: datetime | None = None
    amr: tuple[str, ...] = ()
    session_id: str | None = None
    resource: str | None = None


class DeviceCode(msgspec.Struct, frozen=True):
    tenant_id: str
    grant_id: str


class DeviceCodes:
    """`dc1_…` ↔ `DeviceCode`, and 128 random bits."""

    def __init__(self, keys: SealingKeys) -> None:
        self._seal = Seal("dc1_", 3, keys)

    def text(self, code: DeviceCode, random: bytes) -> str:
        return self._seal.seal(code.tenant_id.encode(), code.grant_id.encode(), random)

    def read(self, text: str) -> DeviceCode | None:
        """None for anything that was not made by `text`; no store is asked."""
        fields = self._seal.open(text)
        return None if fields is None else DeviceCode(fields[0].decode(), fields[1].decode())


def ask(
    client_id: str, scopes: tuple[str, ...], text: str, at: datetime, resource: str | None
) -> DeviceGrant:
    """`text` is the device code."""
    return DeviceGrant(
        client_id=client_id,
        scopes=scopes,
        device_code_sha256=_sha256(text),
        decision="pending",
        valid_until=at + LIFETIME,
        expires_at=at + LIFETIME + REMEMBERED,
        resource=resource,
    )


def is_of(grant: DeviceGrant, text: str, client_id: str) -> bool:
    """Whether `text` is the grant's device code, shown by its own client."""
    return hmac.compare_digest(grant.device_code_sha256, _sha256(text)) and grant.client_id == client_id


def awaits_decision(grant: DeviceGrant, at: datetime) -> bool:
    return grant.decision == "pending" and at < grant.valid_until


def decide(
    grant: DeviceGrant, user_id: str, session: Session, scopes: tuple[str, ...], *, allow: bool
) -> DeviceGrant:
    """`session` is that person's browser session, `scopes` what of the wish that person can give."""
    if not allow:
        return msgspec.structs.replace(grant, decision="denied")
    return msgspec.structs.replace(
        grant,
        decision="allowed",
        scopes=scopes,
        user_id=user_id,
        browser_session_id=session.id,
        authenticated_at=session.authenticated_at,
        amr=session.amr,
    )


def require_allowed(grant: DeviceGrant, at: datetime) -> datetime:
    """When the person who allowed it had signed in.

    Raises `OAuthError` with the codes of §3.5; `invalid_grant` where its tokens were handed out before.
    """
    if grant.session_id is not None:
        raise OAuthError(400, "invalid_grant", "This device code was used before. Start again.")
    if grant.decision == "denied":
        raise OAuthError(
            400, "access_denied", "The person at the browser said no. Start again if that was a mistake."
        )
    if at >= grant.valid_until:
        raise OAuthError(400, "expired_token", "Nobody decided in time. Start again.")
    if grant.authenticated_at is None:
        raise OAuthError(400, "authorization_pending", "Nobody has decided yet. Ask again later.")
    return grant.authenticated_at


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
