"""The form of an access token, held to more than a JWT library asks (RFC 9068 §4, RFC 8725)."""

from typing import Annotated

import msgspec
from msgspec import Meta

from shared import base64url, strict_json
from shared.keyring import ALGORITHMS

MAX_TOKEN_CHARS = 4096
MAX_LIFETIME_SECONDS = 600
LEEWAY_SECONDS = 10
"""How far ahead of ours another clock may be."""

_Id = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
_ClientId = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.-]{1,160}\Z")]
_Scope = Annotated[str, Meta(pattern=r"\A[a-z0-9_:.]*(?: [a-z0-9_:.]+)*\Z", max_length=1000)]
_Method = Annotated[str, Meta(pattern=r"\A[a-z0-9]{1,16}\Z")]
_Role = Annotated[str, Meta(pattern=r"\A[a-z_]{1,32}\Z")]


class NotAToken(Exception):
    """Anything wrong with a token."""


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All a header of ours has: `crit`, `jwk`, `jku`, `x5u`, `zip`, `b64` … are refused with the unknown."""

    alg: str
    typ: str
    kid: _Id


class Claims(msgspec.Struct, frozen=True):
    """RFC 9068 §2.2 and ours. Types are exact: `exp` is no string, no float, `aud` no list."""

    iss: str
    aud: str
    sub: _Id
    exp: int
    iat: int
    jti: _Id
    client_id: _ClientId
    tid: _Id
    scope: _Scope
    roles: Annotated[list[_Role], Meta(max_length=16)]
    tier: _Role
    sid: _Id | None = None
    nbf: int | None = None
    auth_time: int | None = None
    acr: _Method | None = None
    amr: Annotated[list[_Method], Meta(max_length=8)] = []

    def check_times(self, now: int) -> None:
        """`now` in seconds since 1970. Raises `NotAToken`."""
        latest_start = now + LEEWAY_SECONDS
        if not now < self.exp:
            raise NotAToken
        if not 0 < self.exp - self.iat <= MAX_LIFETIME_SECONDS:
            raise NotAToken
        if self.iat > latest_start or (self.nbf is not None and self.nbf > latest_start):
            raise NotAToken


class Unproven(msgspec.Struct, frozen=True):
    """What a token says of itself; true once the signature by `kid` has been checked with its own `alg`."""

    kid: str
    alg: str
    claims: Claims


def read(token: str) -> Unproven:
    """Raises `NotAToken`."""
    parts = token.split(".")
    if len(parts) != 3:
        raise NotAToken
    try:
        head, body, _ = (base64url.decode(part) for part in parts)
        header = strict_json.decode(head, _Header, max_depth=1)
        claims = strict_json.decode(body, Claims, max_depth=4)
    except (ValueError, strict_json.Malformed):
        raise NotAToken from None
    if header.alg not in ALGORITHMS or header.typ.lower() not in ("at+jwt", "application/at+jwt"):
        raise NotAToken
    return Unproven(header.kid, header.alg, claims)
