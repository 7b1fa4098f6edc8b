"""What auth takes and gives over HTTP, as api-spec.yaml has it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from functions.auth.domain import people
from functions.auth.domain.people import Invitation, InvitationStatus, Name, User
from functions.auth.domain.roles import Role
from functions.auth.factors.second_factors import Challenge
from functions.auth.sign_in.sign_in import SignedIn
from shared.http.pagination import Listing
from shared.identity import Principal

T = TypeVar("T")
V = TypeVar("V")

Slug = Annotated[str, Meta(min_length=1, max_length=64)]
Email = Annotated[str, Meta(min_length=3, max_length=254)]
RoleName = Annotated[str, Meta(pattern=r"\A[a-z_]{1,32}\Z")]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: Slug
    email: Email
    password: Password
    device_token: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    remember_device: bool = False


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Annotated[str, Meta(min_length=1, max_length=512)]
    password: Password
    name: Name


class InvitationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Email
    role: RoleName


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


def page(listing: Listing[T], view: Callable[[T], V]) -> Listing[V]:
    return Listing([view(item) for item in listing.items], listing.next_cursor)


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


def signed_in(value: SignedIn | Challenge) -> dict[str, Any]:
    """The tokens as RFC 6749 §5.1 has them, and beside them what makes the device known; or what is asked."""
    if isinstance(value, Challenge):
        return {"second_factor": value}
    answer: dict[str, Any] = msgspec.to_builtins(value.tokens)
    return answer if value.device_token is None else answer | {"device_token": value.device_token}


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
