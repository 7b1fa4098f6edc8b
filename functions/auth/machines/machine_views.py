"""What the routes of service accounts take and give, as api-spec.yaml has it."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from functions.auth.domain import client_id
from functions.auth.domain.credentials import ClientSecret, PublicKey
from functions.auth.domain.machines import ServiceAccount, Status
from functions.auth.domain.people import Name
from functions.auth.machines.holder_changes import AddedSecret
from functions.auth.machines.service_accounts import Made

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


class SecretAddedView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`client_secret` is in the first answer only; in that to a repeated request `notice` says what to do."""

    id: str
    client_id: str
    created_at: datetime
    expires_at: datetime | None
    client_secret: str | None = None
    notice: str | None = None


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


class ServiceAccountMadeView(msgspec.Struct, frozen=True, omit_defaults=True):
    """As `SecretAddedView`."""

    id: str
    client_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    client_secret: str | None = None
    notice: str | None = None


def service_account(value: ServiceAccount, tenant_id: str) -> ServiceAccountView:
    return ServiceAccountView(
        id=value.id,
        client_id=client_id.of(tenant_id, value.id),
        name=value.name,
        scopes=value.scopes,
        status=value.status,
        secrets=[secret(known) for known in value.secrets],
        keys=[key(known) for known in value.keys],
        created_by=value.created_by,
        created_at=value.created_at,
    )


def service_account_made(made: Made, tenant_id: str) -> ServiceAccountMadeView:
    account = made.account
    return ServiceAccountMadeView(
        id=account.id,
        client_id=client_id.of(tenant_id, account.id),
        name=account.name,
        scopes=account.scopes,
        created_at=account.created_at,
        client_secret=made.secret,
    )


def service_account_made_before(made: Made, tenant_id: str) -> ServiceAccountMadeView:
    view = service_account_made(made, tenant_id)
    return msgspec.structs.replace(view, client_secret=None, notice=_MAKE_ANOTHER)


def secret(value: ClientSecret) -> SecretView:
    return SecretView(value.id, value.created_at, value.expires_at)


def secret_added(added: AddedSecret, named: str) -> SecretAddedView:
    """`named`: the client id with which the secret is used."""
    known = added.secret
    return SecretAddedView(known.id, named, known.created_at, known.expires_at, added.text)


def secret_added_before(added: AddedSecret, named: str) -> SecretAddedView:
    return msgspec.structs.replace(secret_added(added, named), client_secret=None, notice=_ADD_ANOTHER)


def key(value: PublicKey) -> KeyView:
    return KeyView(value.kid, value.jwk, value.created_at, value.expires_at)
