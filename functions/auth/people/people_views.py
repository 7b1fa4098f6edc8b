"""What auth takes and gives over HTTP about people, as api-spec.yaml has it."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from functions.auth.domain.custom_role import CustomRole
from functions.auth.domain.people import Name
from functions.auth.domain.session import Session
from functions.auth.views import Email, Password, RoleName, Slug
from shared.http.pagination import Paging

Token = Annotated[str, Meta(min_length=1, max_length=512)]
Scopes = Annotated[list[str], Meta(min_length=1, max_length=50)]
Description = Annotated[str, Meta(max_length=500)]


class UsersQuery(Paging, frozen=True, forbid_unknown_fields=True):
    status: Literal["active", "disabled"] | None = None
    role: RoleName | None = None
    email: Email | None = None


class UserChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | msgspec.UnsetType = msgspec.UNSET
    role: RoleName | msgspec.UnsetType = msgspec.UNSET


class ProfileRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name


class RoleRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: RoleName
    scopes: Scopes
    description: Description = ""


class RoleChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scopes: Scopes | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET


class ForgotRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: Slug
    email: Email


class ResetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Token
    password: Password


class PasswordChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current_password: Password
    new_password: Password
    keep_other_sessions: bool = False
    device_token: Token | None = None


class EmailChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Email
    password: Password
    device_token: Token | None = None


class VerifyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Token


class RoleView(msgspec.Struct, frozen=True):
    name: str
    description: str
    scopes: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


class SessionView(msgspec.Struct, frozen=True):
    """`current`: the one whose access token asks."""

    id: str
    client_id: str
    device: str
    amr: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime
    current: bool


def role(value: CustomRole) -> RoleView:
    return RoleView(value.name, value.description, value.scopes, value.created_at, value.updated_at)


def session(value: Session, current: str | None) -> SessionView:
    return SessionView(
        id=value.id,
        client_id=value.client_id,
        device=value.device,
        amr=value.amr,
        created_at=value.created_at,
        last_used_at=value.used_at,
        current=value.id == current,
    )
