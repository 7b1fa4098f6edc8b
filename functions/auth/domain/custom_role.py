"""Roles that a tenant makes for itself: a name, and scopes that people of the tenant can have."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from functions.auth.domain import roles
from shared.errors import Conflict, Forbidden, invalid

MAX_SCOPES = 50
MAX_DESCRIPTION_CHARACTERS = 500

_NAME = re.compile(r"[a-z](?:[a-z_]{0,30}[a-z])?")


class CustomRole(msgspec.Struct, frozen=True):
    """`tenants/{t}/roles/{name}`, so that a name is there once."""

    name: str
    description: str
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    updated_at: datetime


def is_name(text: str) -> bool:
    """Whether a role of a tenant can be called so."""
    return _NAME.fullmatch(text) is not None


def new_name(text: str) -> str:
    """Of letters a to z and `_` between them, as access tokens carry it. Raises `Invalid`, `Conflict`."""
    if not is_name(text):
        detail = "A role's name has 1 to 32 lower-case letters, with _ between them."
        raise invalid("/name", "invalid_name", detail)
    if text in roles.ROLES:
        raise Conflict("role_exists", "Every tenant has this role already. Choose another name.")
    return text


def description(text: str) -> str:
    """Trimmed, printable, at most 500 characters. Raises `Invalid`."""
    shown = text.strip()
    if len(shown) > MAX_DESCRIPTION_CHARACTERS or not shown.isprintable():
        detail = f"A description has at most {MAX_DESCRIPTION_CHARACTERS} printable characters."
        raise invalid("/description", "invalid_description", detail)
    return shown


def changed(
    role: CustomRole,
    new_description: str | None,
    scopes: Sequence[str] | None,
    own: Collection[str],
    at: datetime,
) -> CustomRole:
    """None: as it is. Raises what `description` and `grantable` raise."""
    return msgspec.structs.replace(
        role,
        description=role.description if new_description is None else description(new_description),
        scopes=role.scopes if scopes is None else grantable(scopes, own),
        updated_at=at,
    )


def grantable(asked: Sequence[str], own: Collection[str]) -> tuple[str, ...]:
    """The scopes of a role, sorted. Raises `Invalid`, and `Forbidden` for more than the caller has."""
    if not 1 <= len(asked) <= MAX_SCOPES:
        raise invalid("/scopes", "invalid_scopes", f"Give 1 to {MAX_SCOPES} scopes.")
    roles.require_known(asked, roles.TENANT_SCOPES)
    require_within(asked, own)
    return tuple(sorted(set(asked)))


def require_within(scopes: Collection[str], own: Collection[str]) -> None:
    """Raises `Forbidden` `scope_not_grantable` for more than the caller has."""
    if not set(own).issuperset(scopes):
        raise Forbidden(
            "scope_not_grantable", "A role gets no scope that you do not have yourself. Leave it out."
        )
