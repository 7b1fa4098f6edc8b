"""Parses every form in which Pub/Sub, Eventarc and Secret Manager deliver a message into a `Delivery`."""

import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec

from shared import strict_json
from shared.events import CloudEvent
from shared.ids import is_id

T = TypeVar("T")

PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
MAX_NAME_CHARS = 256
MAX_EVENT_BYTES = 1_100_000
"""A megabyte of data and its envelope. Parsing blocks the event loop, longest for a body full of `{}`."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_HEADER_ATTRIBUTES = {
    "eventtype": "eventType",
    "secretid": "secretId",
    "versionid": "versionId",
    "type": "type",
    "subject": "subject",
}
"""Unwrapped push sends attributes among the headers; only these, which handlers read, are taken."""


class BadEnvelope(Exception):
    """A request that is no message, however often it is sent. `detail` quotes no values."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Delivery(msgspec.Struct, frozen=True):
    """One message as it arrived. `topic` is the short name. What the sender does not say is empty or None."""

    message_id: str
    data: bytes
    attributes: dict[str, str]
    subscription: str = ""
    topic: str = ""
    publish_time: datetime | None = None
    attempt: int | None = None


Attempt = Annotated[int, msgspec.Meta(ge=0)]


class _Message(msgspec.Struct, frozen=True):
    """Pub/Sub writes both spellings of the two-word names; one of them is enough."""

    data: str | None = None
    attributes: dict[str, str] | None = None
    message_id: str | None = None
    camel_message_id: str | None = msgspec.field(name="messageId", default=None)
    publish_time: datetime | None = None
    camel_publish_time: datetime | None = msgspec.field(name="publishTime", default=None)


class _Push(msgspec.Struct, frozen=True):
    message: _Message
    subscription: str = ""
    attempt: Attempt | None = msgspec.field(name="deliveryAttempt", default=None)


class _Structured(msgspec.Struct, frozen=True):
    specversion: str
    type: str
    id: str
    source: str
    data: msgspec.Raw = msgspec.Raw()
    data_base64: str | None = None


def parse(headers: Mapping[str, str], body: bytes, limit: int) -> Delivery:
    """CloudEvent (binary, structured) round a Pub/Sub message, bare push, or unwrapped push.

    `headers` have lower-case names. Raises `BadEnvelope` for everything else and for a body over `limit`.
    """
    if len(body) > limit:
        raise BadEnvelope("too_large", f"The body has more than {limit} bytes.")
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/cloudevents+json":
        return _structured(body)
    if content_type.startswith("application/cloudevents"):
        raise BadEnvelope("unknown_envelope", "Of the CloudEvents formats only JSON, one event, is read.")
    if "ce-type" in headers or "ce-specversion" in headers:
        _check_context(*(headers.get(f"ce-{name}", "") for name in ("specversion", "type", "id", "source")))
        return _wrapped(_envelope(body, _Push), headers["ce-source"])
    if "x-goog-pubsub-message-id" in headers:
        return _unwrapped(headers, body)
    return _wrapped(_envelope(body, _Push))


def event_of(delivery: Delivery) -> CloudEvent:
    """The event in the message's data, its time in UTC; a `traceparent` that is none is dropped.

    Raises `BadEnvelope`.
    """
    if not delivery.data:
        raise BadEnvelope("no_data", "The message has no data.")
    if len(delivery.data) > MAX_EVENT_BYTES:
        raise BadEnvelope("too_large", f"The event has more than {MAX_EVENT_BYTES} bytes.")
    event = _strictly(delivery.data, CloudEvent, "event")
    if event.specversion != "1.0":
        raise BadEnvelope("event_bad_field", "specversion is not 1.0.")
    for name in ("id", "source", "type", "datacontenttype"):
        if not 1 <= len(getattr(event, name)) <= MAX_NAME_CHARS:
            raise BadEnvelope("event_bad_field", f"{name} does not have 1 to {MAX_NAME_CHARS} characters.")
    if event.subject and not is_id(event.subject):
        raise BadEnvelope("event_bad_field", "subject is no id.")
    if event.datacontenttype.partition(";")[0].strip().lower() != "application/json":
        raise BadEnvelope("event_bad_field", "datacontenttype is not application/json.")
    is_trace = _TRACEPARENT.fullmatch(event.traceparent or "")
    return msgspec.structs.replace(
        event,
        time=_utc(event.time, "event_bad_field"),
        traceparent=event.traceparent if is_trace else None,
    )


def _structured(body: bytes) -> Delivery:
    event = _envelope(body, _Structured)
    _check_context(event.specversion, event.type, event.id, event.source)
    data = bytes(event.data)
    if bool(data) == (event.data_base64 is not None):
        raise BadEnvelope("envelope_bad_field", "Not exactly one of data and data_base64 is there.")
    return _wrapped(_envelope(data or _base64(event.data_base64 or ""), _Push), event.source)


def _check_context(specversion: str, event_type: str, event_id: str, source: str) -> None:
    if specversion != "1.0" or not event_id or not source:
        raise BadEnvelope("envelope_bad_field", "A CloudEvent has specversion 1.0, an id and a source.")
    if event_type != PUBLISHED:
        raise BadEnvelope("unknown_envelope", "The CloudEvent is not of the type of a Pub/Sub message.")


def _wrapped(push: _Push, source: str = "") -> Delivery:
    message = push.message
    published = _one(message.camel_publish_time, message.publish_time, "publishTime")
    return Delivery(
        message_id=_message_id(_one(message.camel_message_id, message.message_id, "messageId") or ""),
        data=_base64(message.data or ""),
        attributes=message.attributes or {},
        subscription=push.subscription,
        topic=_topic(source),
        publish_time=published and _utc(published, "envelope_bad_field"),
        attempt=push.attempt,
    )


def _unwrapped(headers: Mapping[str, str], body: bytes) -> Delivery:
    return Delivery(
        message_id=_message_id(headers["x-goog-pubsub-message-id"]),
        data=body,
        attributes={name: headers[key] for key, name in _HEADER_ATTRIBUTES.items() if key in headers},
        subscription=headers.get("x-goog-pubsub-subscription-name", ""),
    )


def _one(camel: T | None, snake: T | None, name: str) -> T | None:
    if camel is not None and snake is not None and camel != snake:
        raise BadEnvelope("envelope_bad_field", f"The two spellings of {name} differ.")
    return snake if camel is None else camel


def _message_id(text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME_CHARS:
        raise BadEnvelope("envelope_bad_field", f"messageId does not have 1 to {MAX_NAME_CHARS} characters.")
    return text


def _topic(source: str) -> str:
    """`//pubsub.googleapis.com/projects/P/topics/T` → `T`."""
    head, found, topic = source.rpartition("/topics/")
    return topic if found and head.startswith("//pubsub.googleapis.com/projects/") else ""


def _base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise BadEnvelope("not_base64", "The message's data is not base64.") from None


def _utc(at: datetime, reason: str) -> datetime:
    if at.tzinfo is None:
        raise BadEnvelope(reason, "A time has no zone.")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise BadEnvelope(reason, "A time is outside of the years 1 to 9999 in UTC.") from None


def _envelope(raw: bytes, kind: type[T]) -> T:
    return _strictly(raw, kind, "envelope")


def _strictly(raw: bytes, kind: type[T], part: str) -> T:
    try:
        return strict_json.decode(raw, kind)
    except strict_json.Malformed as bad:
        raise BadEnvelope(f"{part}_{bad.reason}", bad.detail) from None
    except msgspec.ValidationError as bad:
        raise BadEnvelope(f"{part}_bad_field", str(bad)) from None
