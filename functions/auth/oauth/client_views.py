"""What the routes of OAuth clients give, as api-spec.yaml has it."""

from datetime import datetime

import msgspec

from functions.auth.credentials.credential_views import KeyView, SecretView
from functions.auth.domain.machines import Status
from functions.auth.domain.oauth_client import GrantType, Kind, OAuthClient
from functions.auth.oauth.oauth_clients import Registered

_REGISTER_ANOTHER = (
    "The client_secret was in the first answer only. If that did not reach you, add another secret to this"
    " client."
)


class _Described(msgspec.Struct, frozen=True):
    id: str
    client_id: str
    name: str
    kind: Kind
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    grant_types: tuple[GrantType, ...]
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    created_at: datetime


class ClientView(_Described, frozen=True):
    status: Status
    secrets: tuple[SecretView, ...]
    keys: tuple[KeyView, ...]
    created_by: str


class ClientRegisteredView(_Described, frozen=True, omit_defaults=True):
    """`client_secret` is there for a confidential client, once; `notice` says so the second time."""

    client_secret: str | None = None
    notice: str | None = None


def client(value: OAuthClient) -> ClientView:
    return msgspec.convert(value, ClientView, from_attributes=True)


def registered(made: Registered) -> ClientRegisteredView:
    view = msgspec.convert(made.client, ClientRegisteredView, from_attributes=True)
    return msgspec.structs.replace(view, client_secret=made.secret)


def registered_before(made: Registered) -> ClientRegisteredView:
    view = registered(made)
    if made.secret is None:
        return view
    return msgspec.structs.replace(view, client_secret=None, notice=_REGISTER_ANOTHER)
