"""Messages and requests as Pub/Sub and Eventarc make them, to be bent by tests."""

import base64
from typing import Any

import msgspec

from shared.envelope import Delivery

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "evt_1",
    "source": "//energent/tenants",
    "type": "ai.energent.tenant.created.v1",
    "subject": "tnt_acme",
    "time": "2026-03-04T12:00:00Z",
    "datacontenttype": "application/json",
    "data": {"name": "Acme"},
}

BINARY = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
    "ce-source": "//pubsub.googleapis.com/projects/p/topics/billing-events",
    "ce-id": "17",
}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def event_bytes(**changes: Any) -> bytes:
    """`EVENT` with fields changed; a field that is `...` is left out."""
    return msgspec.json.encode({k: v for k, v in {**EVENT, **changes}.items() if v is not ...})


def message(**changes: Any) -> dict[str, Any]:
    whole = {
        "data": encoded(event_bytes()),
        "attributes": {"type": "t"},
        "messageId": "17",
        "publishTime": "2026-03-04T12:00:00.123Z",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def push(**changes: Any) -> bytes:
    return msgspec.json.encode(
        {
            "message": message(**changes),
            "subscription": "projects/p/subscriptions/billing-events-push",
            "deliveryAttempt": 2,
        }
    )


def delivery(data: bytes | None = None, **changes: Any) -> Delivery:
    whole: dict[str, Any] = {
        "message_id": "17",
        "data": event_bytes() if data is None else data,
        "attributes": {},
        "subscription": "projects/p/subscriptions/billing-events-push",
        "topic": "billing-events",
        **changes,
    }
    return Delivery(**whole)
