"""Firestore has 0.85 s for an answer: whatever fits a document can still be swept, listed and replayed."""

from collections.abc import AsyncIterator, Sequence

import pytest

from functions.tenants.quarantine import EVERYTHING, Shelf
from shared import outbox, quarantine
from shared.bus import BILLING_EVENTS, Message
from shared.ids import new_id
from shared.outbox import Outbox
from shared.quarantine import MAX_KEPT_TEXT_BYTES, Quarantine
from shared.store import Create
from shared.store.firestore import FirestoreStore
from tests.contract.store.harness import LossyFirestoreStore, warm
from tests.tokens import Time
from tests.unit.events.deliveries import delivery
from tests.unit.tenants.world import OPERATOR

pytestmark = pytest.mark.anyio

QUERIES = (*outbox.QUERIES, *quarantine.QUERIES)
LARGE = 820_000
ENTRIES = 60


class CountingBus:
    def __init__(self) -> None:
        self.messages = 0

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self.messages += len(messages)

    async def close(self) -> None:
        pass


class World:
    def __init__(self, host: str) -> None:
        self.clock = Time()
        self.bus = CountingBus()
        database = new_id("db").replace("_", "-")
        self.store = FirestoreStore("test", database, QUERIES, emulator_host=host)
        self.patient = LossyFirestoreStore(database, host, QUERIES)
        self.outbox = Outbox(self.store, self.bus, self.clock, "billing")

    async def fill(self, writes: Sequence[Create]) -> None:
        for start in range(0, len(writes), 4):
            await self.patient.commit(*writes[start : start + 4])


@pytest.fixture
async def world(firestore_emulator: str) -> AsyncIterator[World]:
    await warm(firestore_emulator)
    made = World(firestore_emulator)
    yield made
    await made.store.close()
    await made.patient.close()


async def test_the_largest_entries_are_swept(world: World) -> None:
    """All in one shard, as it may happen."""
    body = world.outbox.entry(BILLING_EVENTS, Message(b"x" * LARGE)).body
    scope = world.store.platform()
    keys = [scope.key("outbox", "billing-2", "entries", new_id("out")) for _ in range(ENTRIES)]
    await world.fill([Create(key, body) for key in keys])
    world.clock.move(60)
    assert await world.outbox.sweep() == ENTRIES
    assert world.bus.messages == ENTRIES
    assert await world.outbox.sweep() == 0


async def test_the_largest_messages_are_listed(world: World) -> None:
    kept = Quarantine(world.store, world.clock, "billing")
    data = b"x" * (MAX_KEPT_TEXT_BYTES - 2)
    attributes = {f"{number:0256}": "v" * 1024 for number in range(100)}
    sent = [delivery(data, message_id=str(number), attributes=attributes) for number in range(40)]
    await world.fill([kept.write(each, "bad", "It is bad.") for each in sent])
    shelf = Shelf(world.store, world.outbox, world.clock)
    found = await shelf.listed(EVERYTHING, 40, None)
    assert (len(found.items), found.next_cursor) == (40, None)
    done = await shelf.replay_all(EVERYTHING, 4, None, OPERATOR)
    assert (done.replayed, done.skipped) == (4, [])
