"""The local bus as a broker: publishers and consumers meet in one file."""

import asyncio
from pathlib import Path

from local.broker import Options, Subscription
from shared.bus import Bus, tables
from shared.bus.local import LocalBus
from shared.bus.tables import Leased

POLL_SECONDS = 0.02


class FileBroker:
    """`broker.Broker` on a file that each process opens for itself."""

    project = tables.PROJECT

    def __init__(self, path: Path, options: Options) -> None:
        self._file = LocalBus(
            path, base_seconds=options.retry_base_seconds, cap_seconds=options.retry_cap_seconds
        )
        self.bus: Bus = self._file
        self._lease_seconds = options.lease_seconds

    async def prepare(self, *subscriptions: Subscription) -> None:
        for each in subscriptions:
            await self._file.subscribe(each.topic, each.name, each.dead_letter_topic)

    def subscriber(self, subscription: Subscription) -> "FileSubscriber":
        return FileSubscriber(self._file, subscription.name, self._lease_seconds)

    async def close(self) -> None:
        await self._file.close()


class FileSubscriber:
    """`broker.Subscriber`. What its process leaves behind when it dies comes again after `lease_seconds`."""

    def __init__(self, bus: LocalBus, subscription: str, lease_seconds: float) -> None:
        self.leased_count = 0
        self._bus = bus
        self._subscription = subscription
        self._lease_seconds = lease_seconds
        self._seen = 0

    async def lease(self, limit: int) -> list[Leased]:
        self._seen = self._bus.change_count()
        leased = await self._bus.lease(self._subscription, limit, self._lease_seconds)
        self.leased_count += len(leased)
        return leased

    async def wait(self) -> None:
        """Until something changes on the bus, or what failed before is due."""
        due = await self._bus.due_in(self._subscription)
        while self._bus.change_count() == self._seen and (due is None or due > 0):
            await asyncio.sleep(POLL_SECONDS)
            due = None if due is None else due - POLL_SECONDS

    async def ack(self, leased: Leased) -> None:
        await self._bus.ack(leased)

    async def nack(self, leased: Leased) -> None:
        await self._bus.nack(leased)

    async def release(self, leased: Leased) -> None:
        await self._bus.release(leased)

    async def pending(self) -> int:
        return await self._bus.pending(self._subscription)

    async def close(self) -> None:
        """The file keeps what is leased until its time is up; there is nothing else to give back."""
