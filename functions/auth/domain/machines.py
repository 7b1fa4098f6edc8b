"""Service accounts: machines of a tenant that sign in with a secret or a key."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from functions.auth.domain import roles
from functions.auth.domain.credentials import ClientSecret, PublicKey
from functions.auth.domain.roles import Role
from shared.errors import Forbidden, invalid

MAX_SCOPES = 50


class ServiceAccount(msgspec.Struct, frozen=True):
    """Any of `secrets` and `keys` signs in, so that one can be replaced without a pause."""

    id: str
    name: str
    scopes: tuple[str, ...]
    roles: tuple[Role, ...]
    secrets: tuple[ClientSecret, ...]
    created_by: str
    created_at: datetime
    keys: tuple[PublicKey, ...] = ()
    status: Literal["active", "disabled"] = "active"


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
