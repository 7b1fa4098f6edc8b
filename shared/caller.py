"""Checks who pushes events: the identity token must have one issuer, one audience and one e-mail address."""

import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal, Protocol, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import RSAAlgorithm

from shared import base64url, strict_json
from shared.errors import Forbidden, Unauthenticated, Unavailable
from shared.ids import Clock

T = TypeVar("T")

LEEWAY = timedelta(seconds=30)
MAX_LIFETIME = timedelta(hours=2)
MAX_TOKEN_CHARS = 4096
CACHED_TOKENS = 256
MIN_KEY_BITS = 2048

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_REMOVED = "SIGNATURE_REMOVED_BY_GOOGLE"
_rs256 = RSAAlgorithm(RSAAlgorithm.SHA256)


class _Header(msgspec.Struct, frozen=True):
    alg: str
    kid: str = ""
    typ: str = "JWT"
    crit: None = None
    """We support no extension, so a header that requires one is refused (RFC 7515 §4.1.11)."""


class _Claims(msgspec.Struct, frozen=True):
    iss: str
    aud: str
    email: str
    email_verified: bool
    exp: int
    iat: int


class _Key(msgspec.Struct, frozen=True):
    """The public part of a JWK (RFC 7518 §6.3.1)."""

    kid: str
    kty: Literal["RSA"]
    n: str
    e: str


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[_Key]


class Keys(Protocol):
    """A source of keys that tells whether a signature is genuine."""

    def state(self) -> object:
        """A value that changes when the keys change, so that no cached verdict outlives its key."""

    def is_genuine(self, kid: str, signed: bytes, signature: str) -> bool:
        """Whether `signature` is that of `signed` by key `kid`. Raises `Unavailable` without any keys."""


class PlatformKeys:
    """Cloud Run checks signatures and replaces them by a marker; one that is still there is unchecked."""

    def state(self) -> object:
        return None

    def is_genuine(self, kid: str, signed: bytes, signature: str) -> bool:
        return signature == _REMOVED


class FileKeys:
    """RS256 keys of a JWKS file (RFC 7517 §5), read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: object = None
        self._keys: dict[str, RSAPublicKey] = {}

    def state(self) -> object:
        try:
            found = os.stat(self._path)
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
            if state != self._state:
                self._keys = _read(self._path)
                self._state = state
        except (OSError, ValueError, PyJWTError, strict_json.Malformed) as failure:
            raise Unavailable("caller_keys", "The keys of the events' sender cannot be read.") from failure
        return self._state

    def is_genuine(self, kid: str, signed: bytes, signature: str) -> bool:
        key = self._keys.get(kid)
        try:
            return key is not None and _rs256.verify(signed, key, base64url.decode(signature))
        except ValueError:
            return False


class CallerCheck:
    """401 for a caller without a valid identity token, 403 for a valid one of another caller."""

    def __init__(self, issuer: str, audience: str, email: str, keys: Keys, clock: Clock) -> None:
        self._issuer = issuer
        self._audience = audience
        self._email = email
        self._keys = keys
        self._clock = clock
        self._passed: OrderedDict[str, tuple[int, object]] = OrderedDict()

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises `Unauthenticated`, `Forbidden`; `Unavailable` where the keys cannot be read."""
        token = _bearer(headers.get("authorization", ""))
        state = self._keys.state()
        now = int(self._clock().timestamp())
        expires_at, passed_under = self._passed.get(token, (0, None))
        if now < expires_at and passed_under == state:
            return
        self._passed.pop(token, None)
        claims = self._verified(token, now)
        if claims.aud != self._audience or claims.email != self._email or not claims.email_verified:
            raise Forbidden("wrong_caller", "This caller does not send events here.")
        self._passed[token] = (claims.exp, state)
        if len(self._passed) > CACHED_TOKENS:
            self._passed.popitem(last=False)

    def _verified(self, token: str, now: int) -> _Claims:
        parts = _COMPACT.fullmatch(token)
        if parts is None:
            raise _unproven()
        header = _part(parts[1], _Header)
        if header.alg != "RS256" or header.typ.upper() != "JWT":
            raise _unproven()
        if not self._keys.is_genuine(header.kid, f"{parts[1]}.{parts[2]}".encode(), parts[3]):
            raise _unproven()
        claims = _part(parts[2], _Claims)
        leeway = int(LEEWAY.total_seconds())
        in_time = claims.iat - leeway <= now < claims.exp + leeway
        lifetime = claims.exp - claims.iat
        if claims.iss != self._issuer or not in_time or not 0 < lifetime <= MAX_LIFETIME.total_seconds():
            raise _unproven()
        return claims


def keys_of(setting: str) -> Keys:
    """`platform` or `file:/path/jwks.json`. ValueError for anything else."""
    if setting == "platform":
        return PlatformKeys()
    kind, _, path = setting.partition(":")
    if kind != "file" or not path:
        raise ValueError("neither platform nor file:/path/to/jwks.json")
    return FileKeys(Path(path))


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= MAX_TOKEN_CHARS:
        raise _unproven()
    return token


def _part(text: str, kind: type[T]) -> T:
    try:
        return strict_json.decode(base64url.decode(text), kind)
    except (ValueError, strict_json.Malformed):
        raise _unproven() from None


def _read(path: Path) -> dict[str, RSAPublicKey]:
    keys: dict[str, RSAPublicKey] = {}
    for jwk in strict_json.decode(path.read_bytes(), _KeySet).keys:
        key = RSAAlgorithm.from_jwk({"kty": jwk.kty, "n": jwk.n, "e": jwk.e})
        if not isinstance(key, RSAPublicKey) or key.key_size < MIN_KEY_BITS:
            raise ValueError(f"key {jwk.kid} has less than {MIN_KEY_BITS} bits")
        keys[jwk.kid] = key
    return keys


def _unproven() -> Unauthenticated:
    return Unauthenticated("caller_unproven", "Events are taken from their sender only.")
