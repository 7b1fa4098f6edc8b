"""The bus port: publish to a topic. Delivery is at least once, unordered, by push to an event door."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

AUTH_EVENTS = "auth-events"
BILLING_EVENTS = "billing-events"
TENANT_EVENTS = "tenant-events"
TOPICS = (AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS)


class Message(msgspec.Struct, frozen=True):
    """What a topic carries: bytes (ours: one CloudEvent as JSON) and string attributes."""

    data: bytes
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class Bus(Protocol):
    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Returns when all of them are durable. Raises `shared.errors.Unavailable`; then some may be."""

    async def close(self) -> None: ...
