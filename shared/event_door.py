"""`POST /`: the caller is checked, the envelope parsed, the event handed to its use-case or quarantined."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from shared import envelope, events
from shared.caller import CallerCheck
from shared.envelope import BadEnvelope, Delivery
from shared.errors import BadRequest, Error, TooLarge, Unavailable
from shared.events import CloudEvent
from shared.http import Response
from shared.logs import log_under
from shared.quarantine import Quarantine
from shared.tracing import trace_of

T = TypeVar("T")

EventHandler = Callable[[CloudEvent, Delivery], Awaitable[None]]
NotificationHandler = Callable[[Delivery], Awaitable[None]]
ReadBody = Callable[[int], Awaitable[bytes]]

MAX_BODY_BYTES = 14 * 1024 * 1024
"""The largest message that Pub/Sub takes, 10 MB, in base64 with its envelope."""
HANDLER_SECONDS = 25.0
"""Half of the ack deadline at most: past that a message comes again while the first try still runs."""


class Rejected(Exception):
    """Raised by a handler: this can never succeed. It is quarantined under `reason` and acknowledged."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


async def ignored(event: CloudEvent, delivery: Delivery) -> None:
    """The handler of a type that passes by on the topic and is not for this function."""


async def noted(delivery: Delivery) -> None:
    """The handler of a notification that asks for nothing but its line in the log."""


def data_of(event: CloudEvent, kind: type[T]) -> T:
    """The event's data as `kind`. Raises `Rejected`, naming the field, where it is none."""
    try:
        return msgspec.json.decode(event.data, type=kind)
    except msgspec.ValidationError as wrong:
        raise Rejected("invalid_data", str(wrong)) from None


class EventDoor:
    """204: done, or quarantined. Raises `Unauthenticated` and `Forbidden` for a bad caller, `Unavailable` for
    an outage or a bug, so that the message comes again; nothing else is ever answered to a message.

    `handlers` go by the event's short name, `notifications` by the attribute `eventType` of messages that
    are no CloudEvents (Secret Manager's).
    """

    def __init__(
        self,
        handlers: Mapping[str, EventHandler],
        caller: CallerCheck,
        quarantine: Quarantine,
        *,
        log: logging.Logger,
        notifications: Mapping[str, NotificationHandler] | None = None,
        handler_seconds: float = HANDLER_SECONDS,
    ) -> None:
        self._handlers = handlers
        self._caller = caller
        self._quarantine = quarantine
        self._log = log
        self._notifications = notifications or {}
        self._handler_seconds = handler_seconds

    async def handle(
        self, headers: Mapping[str, str], read_body: ReadBody, flaw: Error | None = None
    ) -> Response:
        """`headers` have lower-case names. For a bad caller nothing is read or written. A request that has a
        `flaw`, for which any other would be refused, is quarantined.

        `read_body` takes a limit and raises `TooLarge` over it, `BadRequest` for a body that does not come;
        what else it raises passes through.
        """
        self._caller.check(headers)
        body = await _read(read_body)
        try:
            async with asyncio.timeout(self._handler_seconds):
                await self._take(headers, body, flaw)
        except Unavailable as outage:
            self._log.warning("event put off: %s", outage)
            raise
        except Exception:  # noqa: BLE001 - a bug: logged with its stack, and the message comes again
            self._log.exception("event failed")
            raise Unavailable("event_failed", "Send it again.") from None
        return Response(204)

    async def _take(self, headers: Mapping[str, str], body: bytes | None, flaw: Error | None) -> None:
        try:
            if flaw is not None:
                raise BadEnvelope(flaw.code, flaw.detail)
            if body is None:
                raise BadEnvelope("too_large", f"The body has more than {MAX_BODY_BYTES} bytes.")
            delivery = envelope.parse(headers, body, MAX_BODY_BYTES)
        except BadEnvelope as bad:
            self._log.warning("request quarantined: %s", bad.reason)
            kept = self._quarantine.write_request(headers, body, bad.reason, bad.detail)
            await self._quarantine.put(kept)
        else:
            await self._deliver(delivery)

    async def _deliver(self, delivery: Delivery) -> None:
        event: CloudEvent | None = None
        try:
            notification = self._notifications.get(delivery.attributes.get("eventType", ""))
            if notification is not None:
                self._log.info("notification %s", delivery.attributes["eventType"])
                return await notification(delivery)
            event = envelope.event_of(delivery)
            log_under(event.subject, trace_of({"traceparent": event.traceparent or ""}))
            await self._handler(event)(event, delivery)
        except (BadEnvelope, Rejected) as never:
            self._log.warning("event quarantined: %s, message %s", never.reason, delivery.message_id)
            await self._quarantine.put(self._quarantine.write(delivery, never.reason, never.detail, event))

    def _handler(self, event: CloudEvent) -> EventHandler:
        handler = self._handlers.get(events.short_name(event.type) or "")
        if handler is None:
            raise Rejected("unknown_type", "No handler for this type of event, or not in this version.")
        return handler


async def _read(read_body: ReadBody) -> bytes | None:
    """None for a body over the limit."""
    try:
        return await read_body(MAX_BODY_BYTES)
    except TooLarge:
        return None
    except BadRequest:
        raise Unavailable("body_incomplete", "Send it again.") from None
