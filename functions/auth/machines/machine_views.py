"""What the routes of service accounts take and give, as api-spec.yaml has it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from functions.auth.credentials.credential_views import KeyView, SecretView, key, secret
from functions.auth.domain import client_id
from functions.auth.domain.machines import MAX_SCOPES, ServiceAccount, Status
from functions.auth.domain.people import Name
from functions.auth.machines.service_accounts import Made

Scopes = Annotated[list[str], Meta(min_length=1, max_length=MAX_SCOPES)]

_MAKE_ANOTHER = (
    "The client_secret was in the first answer only. If that did not reach you, make another account with a"
    " new Idempotency-Key."
)


class ServiceAccountRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    scopes: Scopes


class ServiceAccountChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    scopes: Scopes | None = None
    status: Status | None = None


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
