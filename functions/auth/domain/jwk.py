"""Machines' public keys as JSON Web Keys (RFC 7517): EC on P-256, RSA from 2048 bits, Ed25519 (RFC 8037)."""

import hashlib
import json
import re
from collections.abc import Mapping

from shared import base64url
from shared.errors import Invalid, invalid

ALGORITHMS = {"EC": "ES256", "RSA": "RS256", "OKP": "EdDSA"}
"""The one that an assertion is signed with, by `kty`: the key decides, not the header (RFC 8725 §3.1)."""

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MEMBERS = {"EC": ("crv", "x", "y"), "RSA": ("n", "e"), "OKP": ("crv", "x")}
_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_COORDINATE_BYTES = 32
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 4096
_MIN_EXPONENT, _MAX_EXPONENT_BITS = 65_537, 32

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8_AA3A93E7_B3EBBD55_769886BC_651D06B0_CC53B0F6_3BCE3C3E_27D2604B
"""P-256 (FIPS 186-4 D.1.2.3): y² = x³ − 3x + b modulo p."""


def public(jwk: Mapping[str, object]) -> tuple[str, dict[str, str]]:
    """Its `kid`, its own or else its thumbprint (RFC 7638), and the members that make it the key it is.

    Raises `Invalid` for a private key, and for whatever is no key of these kinds; other members are ignored.
    """
    if not _PRIVATE.isdisjoint(jwk):
        detail = "This is a private key. Use it no more, make a new pair and send its public half."
        raise invalid("/jwk", "private_key", detail)
    kind = jwk.get("kty")
    if kind not in ("EC", "RSA", "OKP"):
        raise _wrong("Send an EC key on P-256, an RSA key of 2048 bits or more, or an Ed25519 key.")
    members = {"kty": str(kind)} | {name: _text(jwk, name) for name in _MEMBERS[str(kind)]}
    _CHECKS[str(kind)](members)
    if jwk.get("use", "sig") != "sig" or jwk.get("alg") not in (None, ALGORITHMS[str(kind)]):
        raise _wrong(f"Leave `use` and `alg` out, or give `sig` and {ALGORITHMS[str(kind)]}.")
    kid = jwk.get("kid", _thumbprint(members))
    if not isinstance(kid, str) or _KID.fullmatch(kid) is None:
        raise invalid(
            "/jwk/kid", "invalid_kid", "A kid has 1 to 64 letters, digits, hyphens and underscores."
        )
    return kid, members


def _check_ec(members: Mapping[str, str]) -> None:
    x, y = (_number(members, name, _COORDINATE_BYTES) for name in ("x", "y"))
    on_curve = x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0
    if members["crv"] != "P-256" or not on_curve:
        raise _wrong("An EC key is a point on P-256.")


def _check_rsa(members: Mapping[str, str]) -> None:
    n, e = (_number(members, name) for name in ("n", "e"))
    if not _MIN_RSA_BITS <= n.bit_length() <= _MAX_RSA_BITS or n % 2 == 0:
        raise _wrong(f"An RSA key has {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits.")
    if e < _MIN_EXPONENT or e.bit_length() > _MAX_EXPONENT_BITS or e % 2 == 0:
        raise _wrong("The exponent of an RSA key is odd, 65537 or more, and has 32 bits at most.")


def _check_okp(members: Mapping[str, str]) -> None:
    _number(members, "x", _COORDINATE_BYTES)
    if members["crv"] != "Ed25519":
        raise _wrong("Of these keys only Ed25519 is taken.")


_CHECKS = {"EC": _check_ec, "RSA": _check_rsa, "OKP": _check_okp}


def _text(jwk: Mapping[str, object], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str) or len(value) > _MAX_RSA_BITS:
        raise invalid(f"/jwk/{name}", "invalid_key", "This member of the key is missing or wrong.")
    return value


def _number(members: Mapping[str, str], name: str, size_bytes: int | None = None) -> int:
    """Base64urlUInt (RFC 7518 §2) in its one spelling; `size_bytes` where the length is fixed."""
    try:
        raw = base64url.decode(members[name])
    except ValueError:
        raw = b""
    fits = len(raw) == size_bytes if size_bytes else raw[:1] > b"\0"
    if not fits:
        raise invalid(
            f"/jwk/{name}", "invalid_key", "This member is base64url without padding, of the right length."
        )
    return int.from_bytes(raw)


def _thumbprint(members: Mapping[str, str]) -> str:
    """RFC 7638 §3."""
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return base64url.encode(hashlib.sha256(text.encode()).digest())


def _wrong(detail: str) -> Invalid:
    return invalid("/jwk", "invalid_key", detail)
