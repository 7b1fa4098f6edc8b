"""What the routes of roles take and give, as api-spec.yaml has it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from functions.auth.domain.custom_role import MAX_DESCRIPTION_CHARACTERS, MAX_SCOPES, CustomRole
from functions.auth.views import RoleName

Scopes = Annotated[list[str], Meta(min_length=1, max_length=MAX_SCOPES)]
Description = Annotated[str, Meta(max_length=MAX_DESCRIPTION_CHARACTERS)]


class RoleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: RoleName
    scopes: Scopes
    description: Description = ""


class RoleChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scopes: Scopes | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET


class RoleView(msgspec.Struct, frozen=True):
    name: str
    description: str
    scopes: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


def role(value: CustomRole) -> RoleView:
    return RoleView(value.name, value.description, value.scopes, value.created_at, value.updated_at)
