"""What auth takes and gives over HTTP about people, as api-spec.yaml has it."""

from datetime import datetime
from typing import Literal

import msgspec

from functions.auth.domain import people
from functions.auth.domain.people import Invitation, InvitationStatus, Name, User
from functions.auth.domain.roles import Role
from functions.auth.domain.session import Session
from functions.auth.views import Email, Password, RoleName, SealedText, Slug
from shared.http.pagination import Paging
from shared.identity import Principal


class UsersQuery(Paging, frozen=True, forbid_unknown_fields=True):
    status: Literal["active", "disabled"] | None = None
    role: RoleName | None = None
    email: Email | None = None


class UserChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | msgspec.UnsetType = msgspec.UNSET
    role: RoleName | msgspec.UnsetType = msgspec.UNSET


class ProfileRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name


class ForgotRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: Slug
    email: Email


class ResetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: SealedText
    password: Password


class PasswordChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current_password: Password
    new_password: Password
    keep_other_sessions: bool = False
    device_token: SealedText | None = None


class EmailChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Email
    password: Password
    device_token: SealedText | None = None


class VerifyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: SealedText


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: SealedText
    password: Password
    name: Name


class InvitationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Email
    role: RoleName


class SessionView(msgspec.Struct, frozen=True):
    """`current`: the one whose access token asks."""

    id: str
    client_id: str
    device: str
    amr: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime
    current: bool


class MeView(msgspec.Struct, frozen=True):
    tenant_id: str
    subject: str
    client_id: str
    session_id: str | None
    roles: tuple[str, ...]
    scopes: list[str]
    tier: str
    expires_at: datetime


class UserView(msgspec.Struct, frozen=True):
    id: str
    email: str
    name: str
    role: Role
    status: Literal["active", "disabled"]
    created_at: datetime


class InvitationView(msgspec.Struct, frozen=True):
    id: str
    email: str
    role: Role
    status: InvitationStatus
    created_at: datetime
    expires_at: datetime


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


def me(principal: Principal) -> MeView:
    return MeView(
        tenant_id=principal.tenant_id,
        subject=principal.subject,
        client_id=principal.client_id,
        session_id=principal.session_id,
        roles=principal.roles,
        scopes=sorted(principal.scopes),
        tier=principal.tier,
        expires_at=principal.expires_at,
    )


def user(value: User) -> UserView:
    return UserView(value.id, value.email, value.name, value.role, value.status, value.created_at)


def invitation(value: Invitation, at: datetime) -> InvitationView:
    return InvitationView(
        id=value.id,
        email=value.email,
        role=value.role,
        status=people.status(value, at),
        created_at=value.created_at,
        expires_at=value.expires_at,
    )
