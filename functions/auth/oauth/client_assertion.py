"""Client assertions (`private_key_jwt`): a JWT that a client signed with its own key (RFC 7523 §3)."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
import msgspec
from msgspec import Meta

from functions.auth.domain import credentials
from functions.auth.domain.credentials import PublicKey
from functions.auth.domain.jwk import ALGORITHMS
from shared import base64url, strict_json

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_CHARACTERS = 4096
MAX_LIFETIME = timedelta(minutes=5)
"""An assertion is refused this long after its `iat`, even if `exp` is later: libraries set an hour."""
LEEWAY = timedelta(seconds=10)


class NotAnAssertion(Exception):
    """The text is no valid assertion; it is not said why."""


class _Header(msgspec.Struct, frozen=True):
    """`jwk`, `jku`, `x5u` and the like are ignored: only registered keys are used."""

    alg: str
    kid: str | None = None
    typ: str = "JWT"
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Claims(msgspec.Struct, frozen=True):
    """Times are whole seconds since 1970; issuer and subject are both the client."""

    iss: str
    sub: str
    aud: str | list[str]
    exp: int
    iat: int
    jti: Annotated[str, Meta(min_length=1, max_length=256)]
    nbf: int = 0


class UsedAssertion(msgspec.Struct, frozen=True):
    """The document `assertions/{id}` of an assertion that was used. From `expires_at` on it is not needed:
    the assertion would be refused for its age.
    """

    expires_at: datetime


class Assertion:
    """A parsed assertion, not to be trusted before `verify`. Making one raises `NotAnAssertion`."""

    def __init__(self, text: str) -> None:
        parts = text.split(".")
        if len(text) > MAX_CHARACTERS or not text.isascii() or len(parts) != 3:
            raise NotAnAssertion
        try:
            self._header = strict_json.decode(base64url.decode(parts[0]), _Header, max_depth=4)
            self._claims = strict_json.decode(base64url.decode(parts[1]), _Claims, max_depth=4)
        except (ValueError, strict_json.Malformed):
            raise NotAnAssertion from None
        if self._claims.iss != self._claims.sub or self._header.crit is not msgspec.UNSET:
            raise NotAnAssertion
        self._text = text

    @property
    def client_id(self) -> str:
        """The client that it claims to come from."""
        return self._claims.sub

    @property
    def id(self) -> str:
        """The id of the document that records its use: derived from client and `jti`, so each works once."""
        return hashlib.sha256(msgspec.json.encode((self._claims.sub, self._claims.jti))).hexdigest()

    @property
    def used(self) -> UsedAssertion:
        return UsedAssertion(self._expires_at() + LEEWAY)

    def verify(self, keys: Sequence[PublicKey], audiences: Collection[str], now: datetime) -> None:
        """Raises `NotAnAssertion` unless it was signed by one of `keys`, is meant for `audiences` and is
        valid at `now`.
        """
        self._check_audience(audiences)
        self._check_times(now)
        key = self._key(credentials.active(keys, now))
        algorithm = ALGORITHMS[key.jwk["kty"]]
        if self._header.alg != algorithm or self._header.typ.lower() not in _TYPES:
            raise NotAnAssertion
        try:
            public = jwt.PyJWK(dict(key.jwk), algorithm)
            jwt.api_jws.decode(self._text, public, algorithms=[algorithm])
        except jwt.PyJWTError:
            raise NotAnAssertion from None

    def _check_audience(self, audiences: Collection[str]) -> None:
        """Every audience it names must be ours: any other that it names could replay it here."""
        named = [self._claims.aud] if isinstance(self._claims.aud, str) else self._claims.aud
        if not named or not set(named) <= set(audiences):
            raise NotAnAssertion

    def _check_times(self, now: datetime) -> None:
        latest_start = now + LEEWAY
        if _time(self._claims.iat) > latest_start or _time(self._claims.nbf) > latest_start:
            raise NotAnAssertion
        if now >= self._expires_at():
            raise NotAnAssertion

    def _expires_at(self) -> datetime:
        return min(_time(self._claims.exp), _time(self._claims.iat) + MAX_LIFETIME)

    def _key(self, keys: Sequence[PublicKey]) -> PublicKey:
        """The key with its `kid`; without a `kid`, the only key there is."""
        kid = self._header.kid
        fitting = [key for key in keys if kid in (None, key.kid)]
        if len(fitting) != 1:
            raise NotAnAssertion
        return fitting[0]


_TYPES = ("jwt", "client-authentication+jwt")


def _time(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise NotAnAssertion from None
