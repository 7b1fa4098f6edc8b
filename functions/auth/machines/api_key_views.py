"""What the routes of API keys take and give, as api-spec.yaml has it."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from functions.auth.credentials.credential_views import Time
from functions.auth.domain import api_key
from functions.auth.domain.api_key import ApiKey, Status
from functions.auth.domain.people import Name
from functions.auth.machines.api_keys import MadeKey
from functions.auth.machines.machine_views import Scopes

IpRange = Annotated[str, Meta(min_length=2, max_length=50)]
IpRanges = Annotated[list[IpRange], Meta(max_length=api_key.MAX_IP_RANGES)]

_MAKE_ANOTHER = (
    "The api_key was in the first answer only. If that did not reach you, revoke this key and make another"
    " with a new Idempotency-Key."
)


class ApiKeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    scopes: Scopes
    ip_ranges: IpRanges = []
    not_before: Time | None = None
    expires_at: Time | None = None


class ApiKeyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    name: Name | None = None
    ip_ranges: IpRanges | None = None
    expires_at: Time | None = None


class ExchangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    api_key: Annotated[str, Meta(min_length=1, max_length=512)] | None = None
    scope: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No parameter at all."""


class ApiKeyView(msgspec.Struct, frozen=True):
    id: str
    name: str
    scopes: tuple[str, ...]
    ip_ranges: tuple[str, ...]
    status: Status
    created_by: str
    created_at: datetime
    not_before: datetime | None
    expires_at: datetime
    used_at: datetime | None


class ApiKeyMadeView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`api_key` is in the first answer only; in that to a repeated request `notice` says what to do."""

    id: str
    name: str
    scopes: tuple[str, ...]
    ip_ranges: tuple[str, ...]
    created_at: datetime
    not_before: datetime | None
    expires_at: datetime
    api_key: str | None = None
    notice: str | None = None


def shown(key: ApiKey, at: datetime) -> ApiKeyView:
    return ApiKeyView(
        id=key.id,
        name=key.name,
        scopes=key.scopes,
        ip_ranges=key.ip_ranges,
        status=api_key.status(key, at),
        created_by=key.created_by,
        created_at=key.created_at,
        not_before=key.not_before,
        expires_at=key.expires_at,
        used_at=key.used_at,
    )


def made(value: MadeKey) -> ApiKeyMadeView:
    key = value.key
    return ApiKeyMadeView(
        id=key.id,
        name=key.name,
        scopes=key.scopes,
        ip_ranges=key.ip_ranges,
        created_at=key.created_at,
        not_before=key.not_before,
        expires_at=key.expires_at,
        api_key=value.text,
    )


def made_before(value: MadeKey) -> ApiKeyMadeView:
    return msgspec.structs.replace(made(value), api_key=None, notice=_MAKE_ANOTHER)
