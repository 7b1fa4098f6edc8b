"""Pushes what a subscription holds to an event door, as Eventarc does."""

import asyncio
import base64
import logging
import time
from datetime import datetime

import httpx
import msgspec

from local.relay_identity import Tokens
from shared.bus.local import LocalBus
from shared.bus.tables import Leased
from shared.envelope import PUBLISHED
from shared.errors import Unavailable

ACKNOWLEDGED = frozenset({"200", "201", "204"})
LEASE_MARGIN_SECONDS = 2.0
RETRY_SECONDS = 1.0
LONGEST_NAP_SECONDS = 60.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Push(msgspec.Struct, frozen=True):
    """`audience` is the function's base URL without a final slash; its event door is `/` there."""

    subscription: str
    topic: str
    audience: str


class Pump:
    """One subscription's deliveries, several in flight.

    While nobody answers at all, it tries with one delivery now and then, as Pub/Sub's push backoff does:
    otherwise a function that restarts would cost every message that waits one of its attempts.
    """

    def __init__(
        self,
        push: Push,
        bus: LocalBus,
        client: httpx.AsyncClient,
        tokens: Tokens,
        *,
        in_flight: int = 8,
        ack_deadline_seconds: float = 60.0,
        stop_seconds: float = 5.0,
    ) -> None:
        self._push = push
        self._bus = bus
        self._client = client
        self._tokens = tokens
        self._in_flight = in_flight
        self._ack_deadline_seconds = ack_deadline_seconds
        self._stop_seconds = stop_seconds
        self._running: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._pause_seconds = 0.0
        self._paused_until = 0.0

    def wake(self) -> None:
        """Something changed on the bus."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what is in flight has a few seconds, and after that fails."""
        while not stop.is_set():
            try:
                await self._step()
            except Unavailable as outage:
                _log.error("the bus cannot be read: %s", outage)
                await asyncio.sleep(RETRY_SECONDS)
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._stop_seconds)
            for delivery in late:
                delivery.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _step(self) -> None:
        """Starts what is due, or waits until something may be."""
        self._woken.clear()
        free = (1 if self._pause_seconds else self._in_flight) - len(self._running)
        pause = self._paused_until - time.monotonic()
        seconds: float | None = LONGEST_NAP_SECONDS
        if pause > 0:
            seconds = pause
        elif free > 0:
            lease_seconds = self._ack_deadline_seconds + LEASE_MARGIN_SECONDS
            leased = await self._bus.lease(self._push.subscription, free, lease_seconds)
            for delivery in leased:
                self._start(delivery)
            if leased:
                return
            seconds = await self._bus.due_in(self._push.subscription)
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    def _start(self, leased: Leased) -> None:
        task = asyncio.create_task(self._deliver(leased))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._woken.set()

    async def _deliver(self, leased: Leased) -> None:
        try:
            status = await self._post(leased)
        except asyncio.CancelledError:
            await self._bus.nack(leased, "relay stopped")
            raise
        try:
            if status in ACKNOWLEDGED:
                await self._bus.ack(leased)
            else:
                _log.warning(
                    "message %s to %s: %s at attempt %d",
                    leased.message_id,
                    leased.subscription,
                    status,
                    leased.attempt,
                )
                await self._bus.nack(leased, status)
        except Unavailable as outage:
            _log.error("message %s comes again: %s", leased.message_id, outage)

    async def _post(self, leased: Leased) -> str:
        """The status, or the name of what kept it from coming."""
        try:
            async with asyncio.timeout(self._ack_deadline_seconds):
                response = await self._client.post(
                    f"{self._push.audience}/",
                    content=body(leased),
                    headers=headers(leased, self._tokens.token(self._push.audience)),
                )
        except TimeoutError:
            return "timeout"
        except httpx.HTTPError as failure:
            self._pause()
            return type(failure).__name__
        self._pause_seconds = 0.0
        return str(response.status_code)

    def _pause(self) -> None:
        """Deliveries that fail together count once."""
        now = time.monotonic()
        if now >= self._paused_until:
            self._pause_seconds = min(
                max(2 * self._pause_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS
            )
            self._paused_until = now + self._pause_seconds


def headers(leased: Leased, token: str) -> dict[str, str]:
    """CloudEvents HTTP binding, binary mode, with Eventarc's attributes."""
    return {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "ce-id": leased.message_id,
        "ce-source": f"//pubsub.googleapis.com/projects/local/topics/{leased.topic}",
        "ce-specversion": "1.0",
        "ce-type": PUBLISHED,
        "ce-time": _time(leased.published_at),
    }


def body(leased: Leased) -> bytes:
    """Pub/Sub's push format, in both of its spellings."""
    published = _time(leased.published_at)
    message = {
        "data": base64.b64encode(leased.message.data).decode(),
        "attributes": leased.message.attributes,
        "messageId": leased.message_id,
        "message_id": leased.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    subscription = f"projects/local/subscriptions/{leased.subscription}"
    return msgspec.json.encode(
        {"message": message, "subscription": subscription, "deliveryAttempt": leased.attempt}
    )


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
