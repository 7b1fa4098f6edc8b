"""`POST /`: the caller is checked, the envelope parsed, the event handed to its use-case or quarantined."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from shared import envelope, events
from shared.caller import CallerCheck
from shared.envelope import BadEnvelope, Delivery
from shared.errors import Error, Forbidden, TooLarge, Unauthenticated, Unavailable
from shared.events import CloudEvent
from shared.http import Response
from shared.quarantine import Quarantine

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
    """Answers 204 (done, or quarantined), 503 (an outage or a bug: send it again), 401 or 403 (bad caller).

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

    async def handle(self, headers: Mapping[str, str], read_body: ReadBody) -> Response:
        """`headers` have lower-case names. Nothing is read or written for a caller who is not the sender."""
        try:
            self._caller.check(headers)
            async with asyncio.timeout(self._handler_seconds):
                await self._take(headers, read_body)
        except (Unauthenticated, Forbidden) as refusal:
            self._log.warning("event refused: %s", refusal.code)
            return _problem(refusal)
        except Unavailable as outage:
            self._log.warning("event put off: %s", outage)
            return _AGAIN
        except Exception:  # noqa: BLE001 - a bug: logged with its stack, and the message comes again
            self._log.exception("event failed")
            return _AGAIN
        return Response(204)

    async def _take(self, headers: Mapping[str, str], read_body: ReadBody) -> None:
        body: bytes | None = None
        try:
            body = await read_body(MAX_BODY_BYTES)
            delivery = envelope.parse(headers, body, MAX_BODY_BYTES)
        except TooLarge:
            await self._keep_request(headers, body, "too_large", f"Over {MAX_BODY_BYTES} bytes.")
        except BadEnvelope as bad:
            await self._keep_request(headers, body, bad.reason, bad.detail)
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
            await self._handler(event)(event, delivery)
        except (BadEnvelope, Rejected) as never:
            self._log.warning("event quarantined: %s, message %s", never.reason, delivery.message_id)
            await self._quarantine.put(self._quarantine.write(delivery, never.reason, never.detail, event))

    def _handler(self, event: CloudEvent) -> EventHandler:
        handler = self._handlers.get(events.short_name(event.type) or "")
        if handler is None:
            raise Rejected("unknown_type", "No handler for this type of event, or not in this version.")
        return handler

    async def _keep_request(
        self, headers: Mapping[str, str], body: bytes | None, reason: str, detail: str
    ) -> None:
        self._log.warning("request quarantined: %s", reason)
        await self._quarantine.put(self._quarantine.write_request(headers, body, reason, detail))


def _problem(error: Error) -> Response:
    """Problem details (RFC 9457) of fixed words: nothing of the request is in it."""
    return Response(
        error.status,
        msgspec.json.encode({"title": error.title, "status": error.status, "code": error.code}),
        "application/problem+json",
        {"WWW-Authenticate": "Bearer"} if error.status == 401 else {},
    )


_AGAIN = _problem(Unavailable("try_again", "Send it again."))
