"""Pushes what a subscription holds to an event door, as Eventarc does."""

import asyncio
import base64
import logging
import time
from datetime import datetime
from typing import Literal

import httpx
import msgspec

from local.broker import Subscriber
from local.relay_identity import Tokens
from shared.bus.tables import Leased
from shared.envelope import PUBLISHED
from shared.errors import Unavailable

NOBODY = "nobody"
"""The status where no connection could be made."""
ACKNOWLEDGED = frozenset({"200", "201", "204"})
RETRY_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Push(msgspec.Struct, frozen=True):
    """`audience` is the function's base URL without a final slash; its event door is `/` there.

    A function's topic comes through Eventarc, as a CloudEvent round Pub/Sub's push format; dead letters come
    by a plain push subscription, bare.
    """

    audience: str
    project: str
    is_bare: bool = False


class Pump:
    """One subscription's deliveries, several in flight.

    While nobody answers at all, it tries with one delivery now and then, as Pub/Sub's push backoff does:
    otherwise a function that restarts would cost every message that waits one of its attempts. What finds
    nobody to connect to costs no attempt.
    """

    def __init__(
        self,
        push: Push,
        subscriber: Subscriber,
        client: httpx.AsyncClient,
        tokens: Tokens,
        *,
        in_flight: int = 8,
        ack_deadline_seconds: float = 60.0,
        stop_seconds: float = 5.0,
    ) -> None:
        self._push = push
        self._subscriber = subscriber
        self._client = client
        self._tokens = tokens
        self._in_flight = in_flight
        self._ack_deadline_seconds = ack_deadline_seconds
        self._stop_seconds = stop_seconds
        self._running: set[asyncio.Task[None]] = set()
        self._pause_seconds = 0.0
        self._paused_until = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what is in flight has a few seconds, and after that fails."""
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            try:
                await self._step(stopping)
            except Unavailable as outage:
                _log.error("the bus cannot be read: %s", outage)
                await asyncio.wait({stopping}, timeout=RETRY_SECONDS)
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._stop_seconds)
            for delivery in late:
                delivery.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _step(self, stopping: asyncio.Task[Literal[True]]) -> None:
        """Starts what is due, or waits until something may be."""
        free = (1 if self._pause_seconds else self._in_flight) - len(self._running)
        pause = self._paused_until - time.monotonic()
        if pause > 0:
            await asyncio.wait({stopping}, timeout=pause)
        elif free <= 0:
            await asyncio.wait({stopping, *self._running}, return_when=asyncio.FIRST_COMPLETED)
        elif not await self._start(free):
            waiting = asyncio.create_task(self._subscriber.wait())
            await asyncio.wait({stopping, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                waiting.result()
            waiting.cancel()

    async def _start(self, limit: int) -> int:
        """Returns how many."""
        leased = await self._subscriber.lease(limit)
        for each in leased:
            task = asyncio.create_task(self._deliver(each))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(leased)

    async def _deliver(self, leased: Leased) -> None:
        try:
            status = await self._post(leased)
        except asyncio.CancelledError:
            await self._subscriber.nack(leased)
            raise
        try:
            if status in ACKNOWLEDGED:
                await self._subscriber.ack(leased)
            elif status == NOBODY:
                await self._subscriber.release(leased)
            else:
                _log.warning(
                    "message %s to %s: %s at attempt %d",
                    leased.message_id,
                    leased.subscription,
                    status,
                    leased.attempt,
                )
                await self._subscriber.nack(leased)
        except Unavailable as outage:
            _log.error("message %s comes again: %s", leased.message_id, outage)

    async def _post(self, leased: Leased) -> str:
        """The status, or the name of what kept it from coming."""
        try:
            async with asyncio.timeout(self._ack_deadline_seconds):
                response = await self._client.post(
                    f"{self._push.audience}/",
                    content=body(leased, self._push),
                    headers=headers(leased, self._push, self._tokens.token(self._push.audience)),
                )
        except TimeoutError:
            return "timeout"
        except Exception as failure:  # noqa: BLE001 - some failures of a connection reach us as what they are not
            self._pause()
            return NOBODY if isinstance(failure, httpx.ConnectError) else type(failure).__name__
        self._pause_seconds = 0.0
        return str(response.status_code)

    def _pause(self) -> None:
        """Deliveries that fail together count once."""
        now = time.monotonic()
        if not self._pause_seconds:
            _log.warning("%s does not answer: one delivery at a time tries", self._push.audience)
        if now >= self._paused_until:
            self._pause_seconds = min(
                max(2 * self._pause_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS
            )
            self._paused_until = now + self._pause_seconds


def headers(leased: Leased, push: Push, token: str) -> dict[str, str]:
    """Unless it is bare: CloudEvents HTTP binding, binary mode, with Eventarc's attributes."""
    pubsub = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    if push.is_bare:
        return pubsub
    return {
        **pubsub,
        "ce-id": leased.message_id,
        "ce-source": f"//pubsub.googleapis.com/projects/{push.project}/topics/{leased.topic}",
        "ce-specversion": "1.0",
        "ce-type": PUBLISHED,
        "ce-time": _time(leased.published_at),
    }


def body(leased: Leased, push: Push) -> bytes:
    """Pub/Sub's push format, in both spellings; with the attempt where there is a dead-letter policy."""
    published = _time(leased.published_at)
    message = {
        "data": base64.b64encode(leased.message.data).decode(),
        "attributes": leased.message.attributes,
        "messageId": leased.message_id,
        "message_id": leased.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    attempt = {} if push.is_bare else {"deliveryAttempt": leased.attempt}
    subscription = f"projects/{push.project}/subscriptions/{leased.subscription}"
    return msgspec.json.encode({"message": message, "subscription": subscription, **attempt})


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
