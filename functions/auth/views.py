"""What auth takes and gives over HTTP, as api-spec.yaml has it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from functions.auth.domain import client_id, people
from functions.auth.domain.machines import ServiceAccount
from functions.auth.domain.people import Invitation, User
from functions.auth.domain.roles import Role
from functions.auth.service_accounts import Made
from shared.http.pagination import Listing
from shared.identity import Principal

T = TypeVar("T")
V = TypeVar("V")

Slug = Annotated[str, Meta(min_length=1, max_length=64)]
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]


_SHOWN_ONCE = (
    "The client_secret was in the first answer only. If that did not reach you, make another account with a"
    " new Idempotency-Key."
)


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant: Slug
    email: Email
    password: Password


class AcceptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Annotated[str, Meta(min_length=1, max_length=512)]
    password: Password
    name: Name


class InvitationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Email
    role: Role


class ServiceAccountRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    scopes: Annotated[list[str], Meta(min_length=1, max_length=50)]


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
    status: Literal["pending", "accepted", "expired"]
    created_at: datetime
    expires_at: datetime


class ServiceAccountView(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime


class ServiceAccountMadeView(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    client_secret: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime


class ServiceAccountMadeBeforeView(msgspec.Struct, frozen=True):
    """The answer to a repeated request, which has no secret to give; `notice` says what to do."""

    id: str
    client_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    notice: str


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


def service_account(value: ServiceAccount, tenant_id: str) -> ServiceAccountView:
    return ServiceAccountView(
        id=value.id,
        client_id=client_id.of(tenant_id, value.id),
        name=value.name,
        scopes=value.scopes,
        created_at=value.created_at,
    )


def service_account_made(made: Made, tenant_id: str) -> ServiceAccountMadeView:
    return ServiceAccountMadeView(
        id=made.account.id,
        client_id=client_id.of(tenant_id, made.account.id),
        client_secret=made.secret,
        name=made.account.name,
        scopes=made.account.scopes,
        created_at=made.account.created_at,
    )


def service_account_made_before(made: Made, tenant_id: str) -> ServiceAccountMadeBeforeView:
    account = made.account
    return ServiceAccountMadeBeforeView(
        id=account.id,
        client_id=client_id.of(tenant_id, account.id),
        name=account.name,
        scopes=account.scopes,
        created_at=account.created_at,
        notice=_SHOWN_ONCE,
    )
