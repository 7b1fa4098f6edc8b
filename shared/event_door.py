"""`POST /`: checks the caller, parses the envelope, and gives the event to its handler or the quarantine."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeVar

import msgspec

from shared import envelope, events
from shared.bus import dead_letters
from shared.caller import CallerCheck
from shared.envelope import BadEnvelope, Delivery
from shared.errors import BadRequest, Error, TooLarge, Unavailable
from shared.events import CloudEvent
from shared.http import Response
from shared.logs import log_under
from shared.metrics import OTHER, Metrics
from shared.quarantine import Quarantine
from shared.tracing import trace_of

T = TypeVar("T")

EventHandler = Callable[[CloudEvent, Delivery], Awaitable[None]]
NotificationHandler = Callable[[Delivery], Awaitable[None]]
ReadBody = Callable[[int], Awaitable[bytes]]
Outcome = Literal["done", "quarantined", "dead_lettered", "put_off", "failed"]

MAX_BODY_BYTES = 14 * 1024 * 1024
"""Pub/Sub's largest message (10 MB) in base64, with its envelope."""
HANDLER_SECONDS = 25.0
"""At most half of the ack deadline, after which Pub/Sub delivers the message again."""


class _Message(msgspec.Struct):
    """What is known so far about a message, for log and metrics. `type` has a handler or is `OTHER`."""

    type: str = OTHER
    outcome: Outcome = "put_off"


class Rejected(Exception):
    """Raised by a handler for a message that can never succeed: it is quarantined, and acknowledged."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


async def ignored(event: CloudEvent, delivery: Delivery) -> None:
    """The handler for event types on the topic that do not concern this function."""


async def noted(delivery: Delivery) -> None:
    """The handler for notifications that are only logged."""


def data_of(event: CloudEvent, kind: type[T]) -> T:
    """The event's data as `kind`. Raises `Rejected`, which names the invalid field."""
    try:
        return msgspec.json.decode(event.data, type=kind)
    except msgspec.ValidationError as wrong:
        raise Rejected("invalid_data", str(wrong)) from None


class EventDoor:
    """Answers 204 to a message that is handled or quarantined. Raises `Unauthenticated` or `Forbidden` for an
    unauthorized caller, and `Unavailable` for an outage or a bug, so that the message is delivered again.

    `handlers` are keyed by the event's short name. `notifications` handle messages that are not CloudEvents
    (Secret Manager's), keyed by the attribute `eventType`. Dead letters go to the quarantine.
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
        metrics: Metrics | None = None,
    ) -> None:
        self._handlers = handlers
        self._caller = caller
        self._quarantine = quarantine
        self._log = log
        self._notifications = notifications or {}
        self._handler_seconds = handler_seconds
        self._metrics = metrics or Metrics("", "")

    async def handle(
        self, headers: Mapping[str, str], read_body: ReadBody, flaw: Error | None = None
    ) -> Response:
        """Handles one pushed message, after it has checked the caller. `headers` have lower-case names. A
        request with a `flaw` (a malformed header, say) is quarantined.

        `read_body` takes a limit in bytes. It raises `TooLarge` over it, and `BadRequest` for a body that
        does not arrive in time; its other exceptions pass through.
        """
        self._caller.check(headers)
        body = await _read(read_body)
        started = time.perf_counter()
        message = _Message()
        try:
            async with asyncio.timeout(self._handler_seconds):
                message.outcome = await self._take(headers, body, flaw, message)
        except Unavailable as outage:
            self._log.warning("event put off: %s", outage)
            raise
        except Exception:  # noqa: BLE001 - a bug: logged with its stack; the message is delivered again
            message.outcome = "failed"
            self._log.exception("event failed")
            raise Unavailable("event_failed", "Send it again.") from None
        finally:
            self._metrics.handled(message.type, message.outcome, time.perf_counter() - started)
        return Response(204)

    async def _take(
        self, headers: Mapping[str, str], body: bytes | None, flaw: Error | None, message: _Message
    ) -> Outcome:
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
            return "quarantined"
        if dead_letters.is_one(delivery):
            await self._shelve(delivery, message)
            return "dead_lettered"
        return await self._deliver(delivery, message)

    async def _shelve(self, letter: Delivery, message: _Message) -> None:
        try:
            event = self._event(letter, message)
        except BadEnvelope:
            event = None
        self._log.error("dead letter of %s: message %s", message.type, letter.message_id)
        await self._quarantine.put(self._quarantine.write_dead_letter(letter, event))

    async def _deliver(self, delivery: Delivery, message: _Message) -> Outcome:
        event: CloudEvent | None = None
        try:
            kind = _notification(delivery)
            if kind in self._notifications:
                message.type = kind
                self._log.info("notification %s", kind)
                await self._notifications[kind](delivery)
                return "done"
            event = self._event(delivery, message)
            if message.type == OTHER:
                raise Rejected("unknown_type", "No handler for this type of event, or not in this version.")
            await self._handlers[message.type](event, delivery)
        except (BadEnvelope, Rejected) as never:
            self._log.warning("event quarantined: %s, message %s", never.reason, delivery.message_id)
            await self._quarantine.put(self._quarantine.write(delivery, never.reason, never.detail, event))
            return "quarantined"
        return "done"

    def _event(self, delivery: Delivery, message: _Message) -> CloudEvent:
        """The message's event; sets its tenant and trace for all later log lines. Raises `BadEnvelope`."""
        event = envelope.event_of(delivery)
        log_under(event.subject, trace_of({"traceparent": event.traceparent or ""}))
        name = events.short_name(event.type) or ""
        if name in self._handlers:
            message.type = name
        return event


def _notification(delivery: Delivery) -> str:
    """The `eventType` of a notification. Empty for an event, and for a message with data but no `secretId`,
    which is not from Secret Manager.
    """
    attributes = delivery.attributes
    if delivery.data and "secretId" not in attributes:
        return ""
    try:
        envelope.event_of(delivery)
    except BadEnvelope:
        return attributes.get("eventType", "")
    return ""


async def _read(read_body: ReadBody) -> bytes | None:
    """The body; None if it is over the limit. Raises `Unavailable` if it does not arrive."""
    try:
        return await read_body(MAX_BODY_BYTES)
    except TooLarge:
        return None
    except BadRequest:
        raise Unavailable("body_incomplete", "Send it again.") from None
