"""The ring of signing keys as everybody reads it who verifies a token. Auth writes it, with more in it."""

import hashlib
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from shared import base64url
from shared.store import Key, Store

KEYRING_NAME = "signing"
ALGORITHMS = frozenset({"ES256", "RS256"})
MIN_RSA_BITS = 2048

_COORDINATE_BYTES = 32
_REQUIRED = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
"""RFC 7638 §3.2, in alphabetical order."""

PublicKey = EllipticCurvePublicKey | RSAPublicKey


class PublishedKey(msgspec.Struct, frozen=True):
    """One key that verifies; `public` is its JWK, whose `alg` is the only one that it is used with."""

    kid: str
    public: dict[str, str]


class KeyRing(msgspec.Struct, frozen=True):
    keys: tuple[PublishedKey, ...] = ()


def key(store: Store) -> Key:
    return store.platform().key("keyring", KEYRING_NAME)


def public_jwk(public: PublicKey) -> dict[str, str]:
    """A P-256 or RSA key as a JWK (RFC 7518 §6.2, §6.3) with `kid`, `alg` and `use`."""
    if isinstance(public, RSAPublicKey):
        modulus = public.public_numbers()
        jwk = {"kty": "RSA", "n": _integer(modulus.n), "e": _integer(modulus.e)}
        return jwk | {"kid": thumbprint(jwk), "alg": "RS256", "use": "sig"}
    point = public.public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": base64url.encode(point.x.to_bytes(_COORDINATE_BYTES, "big")),
        "y": base64url.encode(point.y.to_bytes(_COORDINATE_BYTES, "big")),
    }
    return jwk | {"kid": thumbprint(jwk), "alg": "ES256", "use": "sig"}


def public_key(jwk: Mapping[str, str]) -> PublicKey:
    """The key of a JWK that `public_jwk` made. Raises ValueError for any other kind, a point that is not on
    the curve, a small modulus, and an `alg` that is not the kind's.
    """
    kind = (jwk.get("kty"), jwk.get("crv"), jwk.get("alg"))
    if kind == ("EC", "P-256", "ES256"):
        x, y = (int.from_bytes(_coordinate(jwk.get(name, "")), "big") for name in ("x", "y"))
        return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    if kind == ("RSA", None, "RS256"):
        n, e = (int.from_bytes(base64url.decode(jwk.get(name, "")), "big") for name in ("n", "e"))
        if n.bit_length() < MIN_RSA_BITS:
            raise ValueError(f"an RSA key has at least {MIN_RSA_BITS} bits")
        return RSAPublicNumbers(e, n).public_key()
    raise ValueError("neither a P-256 key for ES256 nor an RSA key for RS256")


def thumbprint(jwk: Mapping[str, str]) -> str:
    """RFC 7638: SHA-256 over the required members in alphabetical order."""
    required = {name: jwk[name] for name in _REQUIRED[jwk["kty"]]}
    return base64url.encode(hashlib.sha256(msgspec.json.encode(required)).digest())


def _coordinate(text: str) -> bytes:
    raw = base64url.decode(text)
    if len(raw) != _COORDINATE_BYTES:
        raise ValueError("a P-256 coordinate has 32 bytes")
    return raw


def _integer(number: int) -> str:
    return base64url.encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))
