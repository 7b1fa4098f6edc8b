"""What the contract suite needs of an implementation of the bus port: the side that consumes."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from google.pubsub_v1.types import ReceivedMessage

from local.google.emulator import Emulator
from shared.bus import TOPICS, Bus, Message
from shared.bus.local import LocalBus
from shared.bus.pubsub import PubSubBus
from shared.bus.tables import Leased
from shared.ids import new_id


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


class PubSubHarness(Harness):
    """The emulator, in a project of its own."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.project = new_id("project").replace("_", "-")
        self._emulator = Emulator(host, self.project)
        self._buses: list[PubSubBus] = []

    async def create_topics(self) -> None:
        for topic in TOPICS:
            await self._emulator.create_topic(topic)

    def open(self) -> Bus:
        self._buses.append(PubSubBus(self.project, emulator_host=self._host))
        return self._buses[-1]

    async def subscribe(self, topic: str, name: str) -> None:
        await self._emulator.create_subscription(topic, name, 60)

    async def receive(self, name: str) -> list[Received]:
        received: list[Received] = []
        while more := await self._emulator.pull(name, 1000):
            received += [self._received(name, one) for one in more]
        return received

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()
        await self._emulator.close()

    def _received(self, name: str, one: ReceivedMessage) -> Received:
        async def done() -> None:
            await self._emulator.acknowledge(name, one.ack_id)

        async def failed() -> None:
            await self._emulator.extend(name, [one.ack_id], 0)

        return Received(Message(one.message.data, dict(one.message.attributes)), done, failed)


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
        received: list[Received] = []
        while more := await self._consumer.lease(name, 1000, 60):
            received += [self._received(leased) for leased in more]
        return received

    async def close(self) -> None:
        for bus in (self._consumer, *self._buses):
            await bus.close()

    def _received(self, leased: Leased) -> Received:
        async def done() -> None:
            assert await self._consumer.ack(leased)

        async def failed() -> None:
            await self._consumer.nack(leased)

        return Received(leased.message, done, failed)
