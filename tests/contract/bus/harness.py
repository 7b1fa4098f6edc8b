"""What the contract suite needs of an implementation of the bus port: the side that consumes."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from shared.bus import Bus, Message
from shared.bus.local import LocalBus
from shared.bus.tables import Leased


class Received(msgspec.Struct, frozen=True):
    """A delivery: `done` acknowledges it, `failed` asks for another try."""

    message: Message
    done: Callable[[], Awaitable[None]]
    failed: Callable[[], Awaitable[None]]


class Harness(ABC):
    """One implementation with empty topics. `close` closes every bus that it gave."""

    @abstractmethod
    def open(self) -> Bus:
        """A bus of its own on the same topics each time, as another instance would have."""

    @abstractmethod
    async def subscribe(self, topic: str, name: str) -> None: ...

    @abstractmethod
    async def receive(self, name: str) -> list[Received]:
        """What the subscription has to give now; a failed delivery is given again at once."""

    @abstractmethod
    async def close(self) -> None: ...


class LocalHarness(Harness):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "bus.db"
        self._consumer = LocalBus(self._path, base_seconds=0.0)
        self._buses: list[LocalBus] = []

    def open(self) -> Bus:
        self._buses.append(LocalBus(self._path))
        return self._buses[-1]

    async def subscribe(self, topic: str, name: str) -> None:
        await self._consumer.subscribe(topic, name)

    async def receive(self, name: str) -> list[Received]:
        return [self._received(leased) for leased in await self._consumer.lease(name, 1000, 60)]

    async def close(self) -> None:
        for bus in (self._consumer, *self._buses):
            await bus.close()

    def _received(self, leased: Leased) -> Received:
        async def done() -> None:
            assert await self._consumer.ack(leased)

        async def failed() -> None:
            await self._consumer.nack(leased)

        return Received(leased.message, done, failed)
