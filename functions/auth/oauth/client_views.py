"""What the routes of OAuth clients take and give, as api-spec.yaml has it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from functions.auth.domain import client_id
from functions.auth.domain.machines import Status
from functions.auth.domain.oauth_client import GrantType, Kind, OAuthClient
from functions.auth.machines.machine_views import KeyView, Name, SecretView, key
from functions.auth.oauth.oauth_client_changes import ClientChange
from functions.auth.oauth.oauth_clients import Registered, Wanted

Uris = Annotated[list[Annotated[str, Meta(min_length=1, max_length=1000)]], Meta(max_length=20)]
Scopes = Annotated[list[str], Meta(max_length=50)]
GrantTypes = Annotated[list[GrantType], Meta(min_length=1, max_length=4)]

_REGISTER_ANOTHER = (
    "The client_secret was in the first answer only. If that did not reach you, add another secret to this"
    " client."
)


class ClientRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    kind: Kind
    grant_types: GrantTypes
    scopes: Scopes
    redirect_uris: Uris = []
    resources: Uris = []


class ClientChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    redirect_uris: Uris | None = None
    grant_types: GrantTypes | None = None
    scopes: Scopes | None = None
    resources: Uris | None = None
    status: Status | None = None


class ClientView(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    name: str
    kind: Kind
    redirect_uris: tuple[str, ...]
    grant_types: tuple[GrantType, ...]
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    status: Status
    secrets: list[SecretView]
    keys: list[KeyView]
    created_by: str
    created_at: datetime


class ClientRegisteredView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`client_secret` is there for a confidential client, once; `notice` says so the second time."""

    id: str
    client_id: str
    name: str
    kind: Kind
    redirect_uris: tuple[str, ...]
    grant_types: tuple[GrantType, ...]
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    created_at: datetime
    client_secret: str | None = None
    notice: str | None = None


def wanted(asked: ClientRequest) -> Wanted:
    return Wanted(
        asked.name, asked.kind, asked.grant_types, asked.scopes, asked.redirect_uris, asked.resources
    )


def change(asked: ClientChangeRequest) -> ClientChange:
    return ClientChange(
        asked.name, asked.redirect_uris, asked.grant_types, asked.scopes, asked.resources, asked.status
    )


def client(value: OAuthClient) -> ClientView:
    return ClientView(
        id=value.id,
        client_id=client_id.of(value.tenant_id, value.id),
        name=value.name,
        kind=value.kind,
        redirect_uris=value.redirect_uris,
        grant_types=value.grant_types,
        scopes=value.scopes,
        resources=value.resources,
        status=value.status,
        secrets=[SecretView(known.id, known.created_at, known.expires_at) for known in value.secrets],
        keys=[key(known) for known in value.keys],
        created_by=value.created_by,
        created_at=value.created_at,
    )


def registered(made: Registered) -> ClientRegisteredView:
    value = made.client
    return ClientRegisteredView(
        id=value.id,
        client_id=client_id.of(value.tenant_id, value.id),
        name=value.name,
        kind=value.kind,
        redirect_uris=value.redirect_uris,
        grant_types=value.grant_types,
        scopes=value.scopes,
        resources=value.resources,
        created_at=value.created_at,
        client_secret=made.secret,
    )


def registered_before(made: Registered) -> ClientRegisteredView:
    view = registered(made)
    if made.secret is None:
        return view
    return msgspec.structs.replace(view, client_secret=None, notice=_REGISTER_ANOTHER)
