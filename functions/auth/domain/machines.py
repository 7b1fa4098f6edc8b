"""Service accounts: machines of a tenant that sign in with a secret."""

import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

import msgspec

from functions.auth.domain import roles
from functions.auth.domain.roles import Role
from shared.errors import Forbidden, invalid

MAX_SCOPES = 50


class ClientSecret(msgspec.Struct, frozen=True):
    """A secret of at least 256 random bits needs no slow hash: `sha256` in hex."""

    sha256: str
    created_at: datetime


class ServiceAccount(msgspec.Struct, frozen=True):
    """Any of `secrets` signs in, so that one can be replaced without a pause."""

    id: str
    name: str
    scopes: tuple[str, ...]
    roles: tuple[Role, ...]
    secrets: tuple[ClientSecret, ...]
    created_by: str
    created_at: datetime


def hashed(secret: str, at: datetime) -> ClientSecret:
    return ClientSecret(_sha256(secret), at)


def holds(account: ServiceAccount, secret: str) -> bool:
    digest = _sha256(secret)
    return any(hmac.compare_digest(digest, known.sha256) for known in account.secrets)


def grantable(asked: Sequence[str], own: frozenset[str], tenant_id: str) -> tuple[str, ...]:
    """The scopes a new account gets, sorted. Raises `Invalid`, and `Forbidden` beyond the creator's own."""
    if not 1 <= len(asked) <= MAX_SCOPES:
        raise invalid("/scopes", "invalid_scopes", f"Give 1 to {MAX_SCOPES} scopes.")
    for index, scope in enumerate(asked):
        if scope not in roles.SCOPES:
            raise invalid(f"/scopes/{index}", "unknown_scope", "There is no such scope.")
    if not own.issuperset(asked) or not roles.exist_in(tenant_id, asked):
        raise Forbidden("scope_not_grantable", "An account gets no scope that its creator does not have.")
    return tuple(sorted(set(asked)))


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
