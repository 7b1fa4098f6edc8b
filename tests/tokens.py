"""Key rings, tenants and access tokens for tests: any token can be signed, also a wrong one."""

import base64
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from shared.keyring import KeyRing, PublishedKey, public_jwk
from shared.tenant import Status, Tenant

ISSUER = "https://api.example.test"
NOW = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
TENANT = "tnt_acme"


class Time:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class SignerKey:
    """A P-256 key pair that signs whatever it is given."""

    def __init__(self) -> None:
        self.private = generate_private_key(SECP256R1())
        self.jwk = public_jwk(self.private.public_key())
        self.kid = self.jwk["kid"]

    def entry(self) -> PublishedKey:
        return PublishedKey(self.kid, self.jwk)

    def sign(
        self, payload: Mapping[str, Any] | bytes, header: Mapping[str, Any] | bytes | None = None, **more: Any
    ) -> str:
        """A compact JWS. `header` replaces ours, `more` adds to it; bytes are taken as they are."""
        if header is None:
            header = {"alg": "ES256", "typ": "at+jwt", "kid": self.kid} | more
        signed = segment(header) + "." + segment(payload)
        r, s = decode_dss_signature(self.private.sign(signed.encode(), ECDSA(SHA256())))
        return signed + "." + segment(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def token(self, *, now: datetime = NOW, without: tuple[str, ...] = (), **changes: Any) -> str:
        """A good access token of the tenant's person, with `changes` to its claims."""
        changed = claims(now=now) | changes
        return self.sign({name: value for name, value in changed.items() if name not in without})


def claims(now: datetime = NOW) -> dict[str, Any]:
    issued_at = int(now.timestamp())
    return {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "usr_1",
        "client_id": "first-party",
        "tid": TENANT,
        "sid": "ses_1",
        "scope": "tenant:read usage:read",
        "roles": ["member"],
        "tier": "standard",
        "jti": "jti_1",
        "iat": issued_at,
        "exp": issued_at + 600,
    }


def ring(*keys: SignerKey) -> KeyRing:
    return KeyRing(tuple(key.entry() for key in keys))


def tenant(
    tenant_id: str = TENANT, *, status: Status = "active", tokens_valid_after: datetime | None = None
) -> Tenant:
    return Tenant(
        id=tenant_id,
        slug="acme",
        name="Acme",
        owner_email="owner@acme.test",
        tier="standard",
        isolation="shared",
        status=status,
        contract_start=date(2026, 1, 1),
        created_at=NOW,
        updated_at=NOW,
        tokens_valid_after=tokens_valid_after,
    )


def segment(value: Any) -> str:
    """Base64url without padding, of bytes or of a value as JSON."""
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
