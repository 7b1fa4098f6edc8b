"""What the routes of service accounts take and give, as api-spec.yaml has it."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from functions.auth.domain import client_id
from functions.auth.domain.credentials import ClientSecret, PublicKey
from functions.auth.domain.machines import ServiceAccount, Status
from functions.auth.machines.holder_changes import AddedSecret
from functions.auth.machines.service_accounts import Made

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Scopes = Annotated[list[str], Meta(min_length=1, max_length=50)]
Time = Annotated[datetime, Meta(tz=True)]

_MAKE_ANOTHER = (
    "The client_secret was in the first answer only. If that did not reach you, make another account with a"
    " new Idempotency-Key."
)
_ADD_ANOTHER = (
    "The client_secret was in the first answer only. If that did not reach you, remove this secret and add"
    " another with a new Idempotency-Key."
)


class ServiceAccountRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    scopes: Scopes


class ServiceAccountChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    scopes: Scopes | None = None
    status: Status | None = None


class SecretRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expires_at: Time | None = None


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    jwk: dict[str, Any]
    expires_at: Time | None = None


class Expiry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    expires_at: Time


class SecretView(msgspec.Struct, frozen=True):
    id: str
    created_at: datetime
    expires_at: datetime | None


class SecretAddedView(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    client_secret: str
    created_at: datetime
    expires_at: datetime | None


class SecretAddedBeforeView(msgspec.Struct, frozen=True):
    """The answer to a repeated request, which has no secret to give; `notice` says what to do."""

    id: str
    client_id: str
    created_at: datetime
    expires_at: datetime | None
    notice: str


class KeyView(msgspec.Struct, frozen=True):
    kid: str
    jwk: dict[str, str]
    created_at: datetime
    expires_at: datetime | None


class ServiceAccountView(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    name: str
    scopes: tuple[str, ...]
    status: Status
    secrets: list[SecretView]
    keys: list[KeyView]
    created_by: str
    created_at: datetime


class ServiceAccountMadeView(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    client_secret: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime


class ServiceAccountMadeBeforeView(msgspec.Struct, frozen=True):
    """As `SecretAddedBeforeView`."""

    id: str
    client_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    notice: str


def service_account(tenant_id: str) -> Callable[[ServiceAccount], ServiceAccountView]:
    """The view of an account of this tenant."""

    def view(value: ServiceAccount) -> ServiceAccountView:
        return ServiceAccountView(
            id=value.id,
            client_id=client_id.of(tenant_id, value.id),
            name=value.name,
            scopes=value.scopes,
            status=value.status,
            secrets=[SecretView(known.id, known.created_at, known.expires_at) for known in value.secrets],
            keys=[key(known) for known in value.keys],
            created_by=value.created_by,
            created_at=value.created_at,
        )

    return view


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
        notice=_MAKE_ANOTHER,
    )


def secret_added(added: AddedSecret, client: str) -> SecretAddedView:
    known = added.secret
    return SecretAddedView(known.id, client, added.text, known.created_at, known.expires_at)


def secret_added_before(known: ClientSecret, client: str) -> SecretAddedBeforeView:
    return SecretAddedBeforeView(known.id, client, known.created_at, known.expires_at, _ADD_ANOTHER)


def key(value: PublicKey) -> KeyView:
    return KeyView(value.kid, value.jwk, value.created_at, value.expires_at)
