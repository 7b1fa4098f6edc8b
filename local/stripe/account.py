"""One Stripe account in test mode: its objects, its clock, and the events that tell what happened to them."""

import secrets
import string
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from local.stripe.errors import no_such
from local.stripe.parameters import missing
from local.stripe.storage import Object, Storage

ACCOUNT_NAME = "Local stand-in"
COUNTRY = "US"

_LETTERS = string.ascii_letters + string.digits
_OFFSET = "clock_offset"


class Request(msgspec.Struct, frozen=True):
    """Which request an event comes from; both are None for what Stripe does by itself."""

    id: str | None = None
    idempotency_key: str | None = None


class Account:
    """What endpoints work on. `emitted` is called with each event, in the transaction of its change."""

    def __init__(
        self, storage: Storage, *, api_version: str, base_url: str, advance_seconds: int = 3600
    ) -> None:
        """`advance_seconds`: how long automatic collection waits before its next step."""
        self.storage = storage
        self.api_version = api_version
        self.base_url = base_url
        self.advance_seconds = advance_seconds
        self.request = Request()
        self.emitted: Callable[[Object], int] = _nobody

    def now(self) -> int:
        """Seconds since 1970 by the account's clock, which can be set ahead."""
        return int(time.time()) + self.storage.number(_OFFSET)

    def advance(self, seconds: int) -> None:
        """Sets the clock ahead for good."""
        self.storage.set_number(_OFFSET, self.storage.number(_OFFSET) + seconds)

    def new(self, kind: str, prefix: str, fields: Mapping[str, Any], length: int = 24) -> Object:
        """An object with an id of its own; it is kept when it is saved."""
        return {"id": f"{prefix}_{random_text(length)}", "object": kind, "livemode": False, **fields}

    def save(self, item: Object) -> None:
        self.storage.put(item)

    def find(self, kind: str, object_id: str) -> Object | None:
        """None where there is none of that kind."""
        found = self.storage.get(object_id)
        return found if found is not None and found["object"] == kind else None

    def in_path(self, kind: str, object_id: str, param: str) -> Object:
        """The object that the path names. Raises `ApiError` (404)."""
        found = self.find(kind, object_id)
        if found is None or found.get("deleted"):
            raise no_such(kind, object_id, param, status=404)
        return found

    def named(self, kind: str, params: Mapping[str, Any], param: str) -> Object:
        """The object that a required parameter names. Raises `ApiError` (400)."""
        if param not in params:
            raise missing(param)
        found = self.find(kind, params[param])
        if found is None or found.get("deleted"):
            raise no_such(kind, params[param], param)
        return found

    def emit(self, event_type: str, item: Object, before: Object | None = None) -> None:
        """Writes an event down with the object as it is now; `before` gives its `previous_attributes`."""
        data: dict[str, Any] = {"object": item}
        if before is not None:
            data["previous_attributes"] = changed(before, item)
        request = {"id": self.request.id, "idempotency_key": self.request.idempotency_key}
        fields = {
            "api_version": self.api_version,
            "created": self.now(),
            "data": data,
            "pending_webhooks": 0,
            "request": request,
            "type": event_type,
        }
        event = self.new("event", "evt", fields)
        event["pending_webhooks"] = self.emitted(event)
        self.save(event)


def changed(before: Object, after: Object) -> Object:
    """What the fields that differ were, None for those that were not there."""
    names = before.keys() | after.keys()
    return {name: before.get(name) for name in sorted(names) if before.get(name) != after.get(name)}


def random_text(length: int) -> str:
    """Letters and digits as in Stripe's ids."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def merged_metadata(item: Object, given: Mapping[str, str] | str | None) -> dict[str, str]:
    """The object's metadata with those given; an empty value unsets its key, an empty text unsets all."""
    if given is None:
        return dict(item["metadata"])
    if isinstance(given, str):
        return {}
    together = {**item["metadata"], **given}
    return {key: value for key, value in together.items() if value != ""}


def _nobody(event: Object) -> int:
    return 0
