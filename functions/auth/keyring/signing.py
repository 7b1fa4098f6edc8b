"""Key pairs that sign tokens: made, read back, and used."""

import asyncio
from collections.abc import Callable

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from functions.auth.domain.key_ring import Algorithm
from shared import base64url
from shared.keyring import public_jwk

RSA_BITS = 2048
_PUBLIC_EXPONENT = 65537
_COORDINATE_BYTES = 32

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Signer:
    """Makes compact JWS (RFC 7515 §3.1) with one key, by the one algorithm of its kind."""

    def __init__(self, kid: str, key: PrivateKey) -> None:
        self.kid = kid
        self._alg, self._signature = (
            _es256(key) if isinstance(key, ec.EllipticCurvePrivateKey) else _rs256(key)
        )
        self._starts: dict[str, str] = {}

    def sign(self, payload: bytes, typ: str = "at+jwt") -> str:
        """`typ` is one of the program's own few: each has its header kept."""
        start = self._starts.get(typ)
        if start is None:
            header = msgspec.json.encode({"alg": self._alg, "kid": self.kid, "typ": typ})
            start = self._starts[typ] = base64url.encode(header) + "."
        signed = start + base64url.encode(payload)
        return f"{signed}.{base64url.encode(self._signature(signed.encode()))}"


async def new_key(algorithm: Algorithm) -> tuple[bytes, dict[str, str]]:
    """A new private key as PEM (PKCS #8) and its public half as a JWK."""
    key = await asyncio.to_thread(_generated, algorithm)  # an RSA key takes up to a second
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem, public_jwk(key.public_key())


def signer(pem: bytes, public: dict[str, str]) -> Signer:
    """A signer with the private half of `public`. Raises ValueError, which says what `pem` is instead."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise ValueError("no private key in PEM") from None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("no P-256 key")
    elif not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("neither a P-256 nor an RSA key")
    if public_jwk(key.public_key()) != public:
        raise ValueError("not the key that the ring names")
    return Signer(public["kid"], key)


def _generated(algorithm: Algorithm) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(_PUBLIC_EXPONENT, RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def _es256(key: ec.EllipticCurvePrivateKey) -> tuple[Algorithm, Callable[[bytes], bytes]]:
    ecdsa = ec.ECDSA(SHA256())

    def signature(signed: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(signed, ecdsa))
        return r.to_bytes(_COORDINATE_BYTES) + s.to_bytes(_COORDINATE_BYTES)

    return "ES256", signature


def _rs256(key: rsa.RSAPrivateKey) -> tuple[Algorithm, Callable[[bytes], bytes]]:
    pkcs1, sha256 = padding.PKCS1v15(), SHA256()
    return "RS256", lambda signed: key.sign(signed, pkcs1, sha256)
