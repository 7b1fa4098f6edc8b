"""Service accounts: machines of a tenant that sign in with a secret or a key."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from functions.auth.domain import roles
from functions.auth.domain.credentials import ClientSecret, PublicKey
from functions.auth.domain.roles import Role
from shared.errors import Forbidden, invalid

MAX_SCOPES = 50

STILL_ISSUING = timedelta(minutes=1)
"""How long after a machine's end a request that had read it before may still issue a token: twice the time
limit of a request. Revocations of machines cover this time."""

Status = Literal["active", "disabled"]


class ServiceAccount(msgspec.Struct, frozen=True):
    """A machine. Each of `secrets` and `keys` works, so that one can be replaced without a pause."""

    id: str
    name: str
    scopes: tuple[str, ...]
    roles: tuple[Role, ...]
    secrets: tuple[ClientSecret, ...]
    created_by: str
    created_at: datetime
    keys: tuple[PublicKey, ...] = ()
    status: Status = "active"


def over_at(before: ServiceAccount, after: ServiceAccount, at: datetime) -> datetime | None:
    """Up to which `iat` a change ends the account's access tokens, because it was disabled or has fewer
    scopes; None: it ends none.
    """
    if before.status == "active" and after.status == "disabled":
        return at + STILL_ISSUING
    return None if set(after.scopes) >= set(before.scopes) else at


def grantable(asked: Sequence[str], own: Collection[str], tenant_id: str) -> tuple[str, ...]:
    """The scopes a machine gets, sorted. Raises `Invalid`, and `Forbidden` beyond the caller's own."""
    if not 1 <= len(asked) <= MAX_SCOPES:
        raise invalid("/scopes", "invalid_scopes", f"Give 1 to {MAX_SCOPES} scopes.")
    roles.require_known(asked, roles.SCOPES)
    if not set(own).issuperset(asked) or not roles.exist_in(tenant_id, asked):
        raise Forbidden(
            "scope_not_grantable", "A machine gets no scope that you do not have yourself. Leave it out."
        )
    return tuple(sorted(set(asked)))


def require_equal(account: ServiceAccount, scopes: Collection[str], caller_roles: Collection[str]) -> None:
    """Raises `Forbidden` `scope_not_grantable` unless the caller has all scopes and roles of the account: who
    gives it a secret can act as it.
    """
    if not set(scopes).issuperset(account.scopes) or not set(caller_roles).issuperset(account.roles):
        detail = "This account may more than you. Ask somebody who has all of its scopes."
        raise Forbidden("scope_not_grantable", detail)
