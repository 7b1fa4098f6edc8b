"""The HTTP requests and answers about secrets and keys, as in api-spec.yaml."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from functions.auth.credentials.holder_changes import AddedSecret
from functions.auth.domain.credentials import ClientSecret, PublicKey

Time = Annotated[datetime, Meta(tz=True)]

_ADD_ANOTHER = (
    "The client_secret was in the first answer only. If that did not reach you, remove this secret and add"
    " another with a new Idempotency-Key."
)


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
    """The first answer holds `client_secret`; the answer to a repeated request holds `notice` instead."""

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


def secret(value: ClientSecret) -> SecretView:
    return SecretView(value.id, value.created_at, value.expires_at)


def secret_added(added: AddedSecret, named: str) -> SecretAddedView:
    """`named` is the client id that the secret is used with."""
    known = added.secret
    return SecretAddedView(known.id, named, known.created_at, known.expires_at, added.text)


def secret_added_before(added: AddedSecret, named: str) -> SecretAddedView:
    return msgspec.structs.replace(secret_added(added, named), client_secret=None, notice=_ADD_ANOTHER)


def key(value: PublicKey) -> KeyView:
    return KeyView(value.kid, value.jwk, value.created_at, value.expires_at)
