"""The key ring document: which keys sign and verify access tokens. Auth writes it, everybody reads it."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)

from shared.store import Key, Store

KEYRING_NAME = "access"
ALGORITHM = "ES256"

_COORDINATE_BYTES = 32


class SigningKey(msgspec.Struct, frozen=True):
    """One key pair: `public` is a JWK, the private half is version `secret_version` of `auth-signing-key`.

    Each state verifies; only `active` signs. `pending` is published ahead of its use, `retiring` stays
    until the last token it signed has expired.
    """

    kid: str
    state: Literal["active", "pending", "retiring"]
    secret_version: int
    created_at: datetime
    public: dict[str, str]


class KeyRing(msgspec.Struct, frozen=True):
    keys: tuple[SigningKey, ...] = ()


def key(store: Store) -> Key:
    return store.platform().key("keyring", KEYRING_NAME)


def public_jwk(public: EllipticCurvePublicKey) -> dict[str, str]:
    """A P-256 key as a JWK (RFC 7518 §6.2) with `kid`, `alg` and `use`."""
    numbers = public.public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": _base64url(numbers.x.to_bytes(_COORDINATE_BYTES, "big")),
        "y": _base64url(numbers.y.to_bytes(_COORDINATE_BYTES, "big")),
    }
    return jwk | {"kid": thumbprint(jwk), "alg": ALGORITHM, "use": "sig"}


def public_key(jwk: Mapping[str, str]) -> EllipticCurvePublicKey:
    """The key of an EC JWK. Raises ValueError for another curve and for a point that is not on it."""
    if (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
        raise ValueError("not a P-256 key")
    x, y = (int.from_bytes(_coordinate(jwk.get(name, "")), "big") for name in ("x", "y"))
    return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638: SHA-256 over the required members in alphabetical order."""
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return _base64url(hashlib.sha256(msgspec.json.encode(required)).digest())


def _coordinate(text: str) -> bytes:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if len(raw) != _COORDINATE_BYTES:
        raise ValueError("a P-256 coordinate has 32 bytes")
    return raw


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
