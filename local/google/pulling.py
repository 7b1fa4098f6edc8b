"""A subscription on the Pub/Sub emulator, pulled from and kept by one process.

The emulator loses messages of subscriptions that have a retry policy, and counts as an attempt what was never
tried; so pauses, attempts and dead letters are kept here, while the emulator's lease is renewed.
"""

import asyncio
import contextlib
import logging
import math
import time

import msgspec

from local.broker import Options, Subscription
from local.google.emulator import Emulator
from shared.bus import Message
from shared.bus.dead_letters import MAX_ATTEMPTS, dead_letter
from shared.bus.local import delay_seconds
from shared.bus.tables import Leased
from shared.errors import Unavailable

ACK_DEADLINE_SECONDS = 5
RENEWALS = 3
MAX_HELD = 1000
FIRST_POLL_SECONDS = 0.02
LONGEST_POLL_SECONDS = 0.2
POLL_GROWTH = 1.5

_log = logging.getLogger(__name__)


class _Held(msgspec.Struct):
    """A message of ours. `due`: when it may be tried, on the monotonic clock; never, while it is."""

    leased: Leased
    due: float


class PullSubscriber:
    """`broker.Subscriber`. Attempts are counted in memory: those before a restart are forgotten.

    What a process leaves behind when it dies comes again when the emulator's ack deadline ends.
    """

    def __init__(
        self,
        emulator: Emulator,
        subscription: Subscription,
        options: Options,
        ack_deadline_seconds: int = ACK_DEADLINE_SECONDS,
    ) -> None:
        self.leased_count = 0
        self._emulator = emulator
        self._subscription = subscription
        self._options = options
        self._ack_deadline_seconds = ack_deadline_seconds
        self._held: dict[str, _Held] = {}
        self._pulling = asyncio.Lock()
        self._poll_seconds = FIRST_POLL_SECONDS
        self._renewing: asyncio.Task[None] | None = None
        self._unsure_until = 0.0
        self._mark = f"{subscription.name}-consumed"
        self._is_marked = False

    async def lease(self, limit: int) -> list[Leased]:
        """Due tries first, then new messages, while fewer than `MAX_HELD` are held."""
        due = self._due(limit)
        room = min(limit - len(due), MAX_HELD - len(self._held))
        if room > 0:
            async with self._pulling:
                await self._pull(room)
            due = self._due(limit)
        for held in due:
            held.due = math.inf
            held.leased = msgspec.structs.replace(held.leased, attempt=held.leased.attempt + 1)
        self.leased_count += len(due)
        return [held.leased for held in due]

    async def wait(self) -> None:
        """Until the next try is due, or long enough to ask again: longer, the longer nothing comes."""
        next_try = min((held.due for held in self._held.values()), default=math.inf)
        await asyncio.sleep(max(0.0, min(self._poll_seconds, next_try - time.monotonic())))
        self._poll_seconds = min(self._poll_seconds * POLL_GROWTH, LONGEST_POLL_SECONDS)

    async def ack(self, leased: Leased) -> None:
        held = self._held.get(leased.message_id)
        if held is None:
            return
        try:
            await self._emulator.acknowledge(self._subscription.name, held.leased.lease)
        except Unavailable:
            self._may_be_elsewhere()
            raise
        finally:
            self._held.pop(leased.message_id, None)

    async def nack(self, leased: Leased) -> None:
        held = self._held.get(leased.message_id)
        if held is None:
            return
        try:
            if leased.attempt >= MAX_ATTEMPTS and self._subscription.dead_letter_topic:
                await self._forward(leased)
                return
        finally:
            seconds = delay_seconds(
                leased.attempt, self._options.retry_base_seconds, self._options.retry_cap_seconds
            )
            held.due = time.monotonic() + seconds

    async def release(self, leased: Leased) -> None:
        held = self._held.get(leased.message_id)
        if held is not None:
            held.leased = msgspec.structs.replace(held.leased, attempt=leased.attempt - 1)
            held.due = time.monotonic()

    async def pending(self) -> int:
        """At least 1 while another process, or an answer that got lost, may hold messages."""
        async with self._pulling:
            if not self._held:
                await self._pull(1)
        unsure = time.monotonic() < self._unsure_until
        return max(len(self._held), int(unsure))

    async def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        await self._extend(0)
        if self._is_marked:
            with contextlib.suppress(Unavailable):  # an emulator that has ended forgets it anyway
                await self._emulator.delete_topic(self._mark)

    def _due(self, limit: int) -> list[_Held]:
        """Of messages of ours, those due the longest."""
        now = time.monotonic()
        due = [held for held in self._held.values() if held.due <= now]
        return sorted(due, key=lambda held: held.due)[:limit]

    async def _pull(self, limit: int) -> None:
        if not self._is_marked:
            await self._mark_consumed()
        try:
            received = await self._emulator.pull(self._subscription.name, limit)
        except (Unavailable, asyncio.CancelledError):
            self._may_be_elsewhere()
            raise
        if received and self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        for one in received:
            self._poll_seconds = FIRST_POLL_SECONDS
            known = self._held.get(one.message.message_id)
            if known is not None:  # its lease was renewed too late
                known.leased = msgspec.structs.replace(known.leased, lease=one.ack_id)
                continue
            leased = Leased(
                id=0,
                lease=one.ack_id,
                subscription=self._subscription.name,
                topic=self._subscription.topic,
                message_id=one.message.message_id,
                message=Message(one.message.data, dict(one.message.attributes)),
                published_at=one.message.publish_time,
                attempt=0,
            )
            self._held[leased.message_id] = _Held(leased, time.monotonic())

    async def _mark_consumed(self) -> None:
        """Makes a topic that says so. If there is one, its maker has died, and what it held comes later."""
        if not await self._emulator.create_topic(self._mark):
            self._may_be_elsewhere()
        self._is_marked = True

    async def _forward(self, leased: Leased) -> None:
        letter = dead_letter(
            leased.message,
            subscription=self._subscription.name,
            project=self._options.project,
            published_at=leased.published_at,
            attempts=leased.attempt,
        )
        await self._emulator.publish(self._subscription.dead_letter_topic, letter)
        _log.error(
            "dead letter: message %s of %s after %d attempts",
            leased.message_id,
            leased.subscription,
            leased.attempt,
        )
        await self.ack(leased)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._ack_deadline_seconds / RENEWALS)
            await self._extend(self._ack_deadline_seconds)

    async def _extend(self, seconds: int) -> None:
        ack_ids = [held.leased.lease for held in self._held.values()]
        try:
            if ack_ids:
                await self._emulator.extend(self._subscription.name, ack_ids, seconds)
        except Unavailable as outage:
            self._may_be_elsewhere()
            _log.warning("leases of %s were not renewed: %s", self._subscription.name, outage)

    def _may_be_elsewhere(self) -> None:
        """Until the emulator has taken back what was leased to somebody who will not answer."""
        self._unsure_until = time.monotonic() + self._ack_deadline_seconds
