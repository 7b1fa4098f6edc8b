"""The relay's identity: a key pair in the data folder, and tokens signed with it, shaped like Google's."""

import hashlib
import os
import secrets
from datetime import timedelta
from pathlib import Path

import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from shared import base64url
from shared.ids import Clock

LIFETIME = timedelta(hours=1)
RENEWED_BEFORE = timedelta(minutes=5)
KEY_BITS = 2048


class KeyFiles(msgspec.Struct, frozen=True):
    """`key` is private (0600); `jwks` is what the functions check with."""

    key: Path
    jwks: Path


def ensure_keys(data_dir: Path) -> KeyFiles:
    """Makes the key pair where it is missing; of two at the same time, the second gets the first's."""
    folder = data_dir / "relay"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = KeyFiles(folder / "key.pem", folder / "jwks.json")
    if not files.key.exists():
        _write_once(files.key, _new_key())
    jwks = _jwks(_load(files.key))
    if not files.jwks.exists() or files.jwks.read_bytes() != jwks:
        _replace(files.jwks, jwks)
    return files


class Tokens:
    """Identity tokens for one caller, one for each audience, until five minutes before their end."""

    def __init__(self, key: Path, clock: Clock, *, issuer: str, email: str) -> None:
        self._key = _load(key)
        self._clock = clock
        self._issuer = issuer
        self._email = email
        self._made: dict[str, tuple[int, str]] = {}

    def token(self, audience: str) -> str:
        now = int(self._clock().timestamp())
        good_until, token = self._made.get(audience, (0, ""))
        if now >= good_until:
            token = self._sign(audience, now)
            self._made[audience] = (now + int((LIFETIME - RENEWED_BEFORE).total_seconds()), token)
        return token

    def _sign(self, audience: str, now: int) -> str:
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "sub": self._email,
            "email": self._email,
            "email_verified": True,
            "iat": now,
            "exp": now + int(LIFETIME.total_seconds()),
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _kid(self._key)})


def _new_key() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load(path: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path} is no RSA key; delete it and start again")
    return key


def _kid(key: rsa.RSAPrivateKey) -> str:
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64url.encode(hashlib.sha256(public).digest())


def _jwks(key: rsa.RSAPrivateKey) -> bytes:
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return msgspec.json.encode({"keys": [{**public, "kid": _kid(key), "alg": "RS256", "use": "sig"}]})


def _write_once(path: Path, data: bytes) -> None:
    """A file that is whole or not there, and never replaces one."""
    draft = _draft(path, data, 0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _replace(path: Path, data: bytes) -> None:
    _draft(path, data, 0o644).replace(path)


def _draft(path: Path, data: bytes, mode: int) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
    return draft
