"""The bus port: publish to a topic. Delivery is at least once, unordered, by push to an event door."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

AUTH_EVENTS = "auth-events"
BILLING_EVENTS = "billing-events"
TENANT_EVENTS = "tenant-events"
TOPICS = (AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS)
"""The topics. Each has a dead-letter topic beside it."""

MAX_MESSAGE_BYTES = 9_900_000
"""Limit on data and attributes. Pub/Sub takes 10 MB: the rest is for ids and dead letters' attributes."""
MAX_ATTRIBUTES = 100
MAX_ATTRIBUTE_NAME_BYTES = 256
MAX_ATTRIBUTE_BYTES = 1024


class Message(msgspec.Struct, frozen=True):
    """What a topic carries: bytes (ours: one CloudEvent as JSON) and string attributes."""

    data: bytes
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class Bus(Protocol):
    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Returns once all messages are durable. Raises `shared.errors.Unavailable`, after which some may be,
        and ValueError for a message that `check` refuses, after which none is.
        """

    async def close(self) -> None: ...


def check(topic: str, *messages: Message) -> None:
    """ValueError for an unknown topic and for a message that Pub/Sub refuses."""
    if topic not in TOPICS:
        raise ValueError(f"{topic!r} is no topic")
    for message in messages:
        _check(message)


def size(message: Message) -> int:
    """In bytes, as Pub/Sub counts: data, and names and values of attributes in UTF-8."""
    attributes = message.attributes.items()
    return len(message.data) + sum(len(name.encode()) + len(value.encode()) for name, value in attributes)


def _check(message: Message) -> None:
    if not message.data and not message.attributes:
        raise ValueError("a message has data or attributes")
    if size(message) > MAX_MESSAGE_BYTES:
        raise ValueError(f"a message of {size(message)} bytes")
    if len(message.attributes) > MAX_ATTRIBUTES:
        raise ValueError(f"a message with {len(message.attributes)} attributes")
    for name, value in message.attributes.items():
        if not 1 <= len(name.encode()) <= MAX_ATTRIBUTE_NAME_BYTES or name.startswith("goog"):
            raise ValueError("an attribute's name has 1 to 256 bytes and does not start with goog")
        if len(value.encode()) > MAX_ATTRIBUTE_BYTES:
            raise ValueError(f"the attribute {name!r} has over {MAX_ATTRIBUTE_BYTES} bytes")
