"""Events leave with the commit that makes them true, or with the sweep, but never not at all."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import outbox
from shared.bus import AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS, Message
from shared.errors import Unavailable
from shared.events import CloudEvent
from shared.logs import CONTEXT, Context
from shared.outbox import DUE, SHARDS, SWEEP_PAGE, Outbox, PublishingStore
from shared.payloads import CloseRequested
from shared.store import AlreadyExists, Create, Delete, Doc, Page, Query, Version, Write
from shared.store.bodies import stamp
from shared.store.sqlite import SqliteStore
from shared.tracing import NO_TRACE, Trace
from tests.tokens import NOW, Time

pytestmark = pytest.mark.anyio


class ListBus:
    """Keeps what is published; `failing` topics are down, `slow` makes it hang."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Message]] = []
        self.failing: set[str] = set()
        self.slow = False
        self.calls = 0
        self.sizes: list[int] = []

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self.calls += 1
        self.sizes.append(sum(len(message.data) for message in messages))
        if self.slow:
            await asyncio.Event().wait()
        if topic in self.failing:
            raise Unavailable("bus_unavailable", "The bus did not answer.")
        self.published += [(topic, message) for message in messages]

    async def close(self) -> None:
        pass

    @property
    def numbers(self) -> list[int]:
        return [int(message.data) for _, message in self.published]


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = Time()
        self.bus = ListBus()
        self.inner = SqliteStore(folder / "store.db", outbox.QUERIES)
        self.store = PublishingStore(self.inner, self.bus)
        self.outbox = Outbox(self.store, self.bus, self.clock, "billing")

    async def left(self, producer: str = "billing") -> list[Doc]:
        pages = [
            await self.store.platform().query(DUE, "outbox", f"{producer}-{shard}", limit=1000)
            for shard in range(SHARDS)
        ]
        return [doc for page in pages for doc in page.docs]

    async def crash_with(self, *entries: Create) -> None:
        """What a process leaves that dies right after its commit."""
        await self.inner.commit(*entries)

    def numbered(self, number: int, topic: str = BILLING_EVENTS) -> Create:
        return self.outbox.entry(topic, Message(b"%d" % number))

    def change(self, name: str = "a") -> Create:
        return Create(self.store.tenant("t").key("things", name), {"n": 1})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.store.close()


async def test_an_event_is_published_to_each_of_its_topics_before_the_commit_returns(world: World) -> None:
    data = CloseRequested("2026-02")
    await world.store.commit(world.change(), *world.outbox.entries("tenant.created", "tnt_a", data))
    assert [topic for topic, _ in world.bus.published] == [AUTH_EVENTS, BILLING_EVENTS]
    first, second = (message for _, message in world.bus.published)
    assert first == second
    event = msgspec.json.decode(first.data, type=CloudEvent)
    assert (event.type, event.subject, event.source, event.time) == (
        "ai.energent.tenant.created.v1",
        "tnt_a",
        "//energent/billing",
        NOW,
    )
    assert event.id.startswith("evt_")
    assert bytes(event.data) == b'{"period":"2026-02"}'
    assert first.attributes == {"type": event.type, "subject": "tnt_a"}
    assert await world.left() == []


@pytest.mark.parametrize("trace", [NO_TRACE, Trace("a" * 32, "b" * 16, True)])
async def test_an_event_belongs_to_the_trace_of_the_request_that_made_it(world: World, trace: Trace) -> None:
    """The consumer's log lines are under it: test_event_door."""
    token = CONTEXT.set(Context("req_1", trace))
    try:
        entries = world.outbox.entries("tenant.created", "tnt_1", {})
    finally:
        CONTEXT.reset(token)
    await world.store.commit(*entries)
    sent = [msgspec.json.decode(message.data, type=CloudEvent) for _, message in world.bus.published]
    assert [event.traceparent for event in sent] == [trace.traceparent()] * 2


async def test_a_commit_that_fails_publishes_nothing(world: World) -> None:
    await world.store.commit(world.change())
    with pytest.raises(AlreadyExists):
        await world.store.commit(world.change(), world.numbered(1))
    world.clock.move(60)
    assert await world.outbox.sweep() == 0
    assert world.bus.published == []


async def test_a_commit_without_events_does_not_need_the_bus(world: World) -> None:
    await world.store.commit(world.change())
    assert world.bus.calls == 0


async def test_the_commit_stands_and_the_reply_comes_when_the_bus_is_slow(world: World) -> None:
    world.bus.slow = True
    started = time.monotonic()
    (version, _) = await world.store.commit(world.change(), world.numbered(1))
    assert 0.9 * outbox.PUBLISH_SECONDS < time.monotonic() - started < 10 * outbox.PUBLISH_SECONDS
    doc = await world.store.tenant("t").get("things", "a")
    assert doc is not None
    assert doc.version == version
    world.bus.slow = False
    world.clock.move(6)
    assert await world.outbox.sweep() == 1
    assert world.bus.numbers == [1]


async def test_the_commit_stands_when_the_bus_is_down(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.bus.failing = {BILLING_EVENTS}
    await world.store.commit(world.change(), world.numbered(1))
    assert len(await world.left()) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_topic_that_is_down_holds_back_only_its_own_entry(world: World) -> None:
    world.bus.failing = {BILLING_EVENTS}
    await world.store.commit(*world.outbox.entries("tenant.created", "t", {}))
    assert [topic for topic, _ in world.bus.published] == [AUTH_EVENTS]
    assert [doc.body["topic"] for doc in await world.left()] == [BILLING_EVENTS]


async def test_what_a_process_left_that_died_after_its_commit_is_swept(world: World) -> None:
    """P18."""
    await world.crash_with(world.change(), world.numbered(1), world.numbered(2, AUTH_EVENTS))
    world.clock.move(6)
    assert await world.outbox.sweep() == 2
    assert sorted(world.bus.numbers) == [1, 2]
    assert await world.left() == []
    assert await world.outbox.sweep() == 0


async def test_what_a_process_published_and_could_not_delete_is_published_again(
    world: World, tmp_path: Path
) -> None:
    """P18: at least once."""

    class Dying(SqliteStore):
        async def commit(self, *writes: Write) -> list[Version | None]:
            if any(isinstance(write, Delete) for write in writes):
                raise Unavailable("store_unavailable", "The process died.")
            return await super().commit(*writes)

    dying = Dying(tmp_path / "store.db", outbox.QUERIES)
    await PublishingStore(dying, world.bus).commit(world.numbered(1))
    await dying.close()
    assert len(await world.left()) == 1
    world.clock.move(6)
    await world.outbox.sweep()
    assert world.bus.numbers == [1, 1]
    assert await world.left() == []


async def test_a_sweep_leaves_alone_what_is_just_being_published(world: World) -> None:
    await world.crash_with(world.numbered(1))
    world.clock.move(5)
    assert await world.outbox.sweep() == 0
    world.clock.move(0.001)
    assert await world.outbox.sweep() == 1


async def test_a_sweep_takes_the_oldest_of_a_shard_first_and_all_pages(world: World) -> None:
    count = SHARDS * SWEEP_PAGE + 300
    entries = []
    for number in range(count):
        entries.append(world.numbered(number))
        world.clock.move(0.001)
    await world.crash_with(*entries[::-1])
    world.clock.move(6)
    shard_of = {int(entry.body["data"]): entry.key.collection for entry in entries}
    assert await world.outbox.sweep() == count
    assert sorted(world.bus.numbers) == list(range(count))
    for shard in set(shard_of.values()):
        swept = [number for number in world.bus.numbers if shard_of[number] == shard]
        assert swept == sorted(swept)
    assert await world.left() == []


async def test_a_function_sweeps_its_own_entries_only(world: World) -> None:
    auth = Outbox(world.store, world.bus, world.clock, "auth")
    await world.crash_with(world.numbered(1), auth.entry(AUTH_EVENTS, Message(b"2")))
    world.clock.move(6)
    assert await world.outbox.sweep() == 1
    assert world.bus.numbers == [1]
    assert len(await world.left("auth")) == 1


@pytest.mark.parametrize(
    "poison",
    [
        {"topic": "next-years-topic", "data": "0", "attributes": {}},
        {"topic": BILLING_EVENTS, "data": 7, "attributes": {}},
        {"topic": BILLING_EVENTS},
        {"topic": BILLING_EVENTS, "data": "0", "attributes": {"a": "v" * 2000}},
    ],
)
async def test_an_entry_that_cannot_be_published_blocks_no_other_and_stays(
    world: World, poison: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    keys = [
        world.store.platform().key("outbox", f"billing-{shard}", "entries", "out_0")
        for shard in range(SHARDS)
    ]
    body = {"created_at": stamp(datetime(2020, 1, 1, tzinfo=UTC)), **poison}
    await world.crash_with(*(Create(key, body) for key in keys))
    await world.crash_with(*(world.numbered(number) for number in range(20)))
    world.clock.move(6)
    assert await world.outbox.sweep() == 20
    assert sorted(world.bus.numbers) == list(range(20))
    assert [doc.key for doc in await world.left()] == keys
    assert [record.levelname for record in caplog.records] == ["ERROR"] * SHARDS


async def test_a_topic_that_is_down_holds_no_other_up_in_the_sweep(world: World) -> None:
    topics = (AUTH_EVENTS, BILLING_EVENTS, TENANT_EVENTS)
    await world.crash_with(*(world.numbered(number, topics[number % 3]) for number in range(60)))
    world.clock.move(6)
    world.bus.failing = {AUTH_EVENTS}
    with pytest.raises(Unavailable, match="auth-events"):
        await world.outbox.sweep()
    assert sorted(world.bus.numbers) == [number for number in range(60) if number % 3]
    assert {doc.body["topic"] for doc in await world.left()} == {AUTH_EVENTS}
    world.bus.failing = set()
    assert await world.outbox.sweep() == 20
    assert sorted(world.bus.numbers) == list(range(60))


async def test_sweeps_at_the_same_time_lose_nothing(world: World) -> None:
    """P11."""
    await world.crash_with(*(world.numbered(number) for number in range(100)))
    world.clock.move(6)
    await asyncio.gather(*(world.outbox.sweep() for _ in range(4)))
    assert set(world.bus.numbers) == set(range(100))
    assert await world.left() == []


async def test_a_sweep_meets_commits_and_nothing_is_lost(world: World) -> None:
    async def commit(number: int) -> None:
        await world.store.commit(world.numbered(number))

    await world.crash_with(*(world.numbered(number) for number in range(50)))
    world.clock.move(6)
    await asyncio.gather(*(commit(number) for number in range(50, 100)), world.outbox.sweep())
    assert set(world.bus.numbers) == set(range(100))
    assert await world.left() == []


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("nowhere", Message(b"x")),
        (BILLING_EVENTS, Message(b"")),
        (BILLING_EVENTS, Message(b"\xff")),
        (BILLING_EVENTS, Message(b"x" * 900_000)),
        (BILLING_EVENTS, Message(b"\x01" * 200_000)),
    ],
)
async def test_a_message_that_could_never_leave_is_refused_when_its_entry_is_made(
    world: World, topic: str, message: Message
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        world.outbox.entry(topic, message)


async def test_the_largest_entry_fits_a_document(world: World) -> None:
    attributes = {f"{number:0256}": "v" * 1024 for number in range(100)}
    await world.store.commit(world.outbox.entry(BILLING_EVENTS, Message(b"x" * 849_000, attributes)))
    assert await world.left() == []


class Slow(SqliteStore):
    """Gives up on an answer of more than `room` bytes, which is one document ahead of its limit, and on the
    shards that are `down`.
    """

    room = 5_000_000
    down = ""
    asked = 0

    async def run(
        self,
        query: Query,
        collection: str,
        equal: Mapping[str, str | int | bool],
        since: str | int | None,
        until: str | int | None,
        limit: int,
        cursor: str | None,
    ) -> Page:
        self.asked += 1
        page = await super().run(query, collection, equal, since, until, limit + 1, cursor)
        size = sum(len(msgspec.json.encode(doc.body)) for doc in page.docs)
        if size > self.room or (self.down and self.down in collection):
            raise Unavailable("store_unavailable", "The store did not answer.")
        return await super().run(query, collection, equal, since, until, limit, cursor)


@pytest.fixture
async def slow(world: World, tmp_path: Path) -> AsyncIterator[Slow]:
    store = Slow(tmp_path / "store.db", outbox.QUERIES)
    world.outbox = Outbox(store, world.bus, world.clock, "billing")
    yield store
    await store.close()


def at(world: World, entry: Create, shard: int) -> Create:
    key = world.store.platform().key("outbox", f"billing-{shard}", "entries", entry.key.id)
    return Create(key, entry.body)


@pytest.mark.parametrize(("small_ones", "asked"), [(0, 9), (300, 30)])
async def test_entries_of_any_size_are_swept(world: World, slow: Slow, small_ones: int, asked: int) -> None:
    """A page of small ones says nothing of the next, but after a large one the pages fit."""
    for number in range(small_ones):
        await world.crash_with(at(world, world.numbered(number), 0))
    world.clock.move(1)
    for number in range(20):
        entry = world.outbox.entry(BILLING_EVENTS, Message(b"%0820000d" % number))
        await world.crash_with(at(world, entry, 0))
    world.clock.move(6)
    assert await world.outbox.sweep() == small_ones + 20
    assert len(world.bus.published) == small_ones + 20
    assert slow.asked <= asked
    assert await world.left() == []


async def test_a_bus_is_given_no_more_at_once_than_it_can_take_in_time(world: World) -> None:
    for number in range(12):
        await world.crash_with(world.outbox.entry(BILLING_EVENTS, Message(b"%0400000d" % number)))
    world.clock.move(6)
    await world.outbox.sweep()
    assert max(world.bus.sizes) == 800_000


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_a_shard_that_cannot_be_read_holds_no_other_up(world: World, slow: Slow, shard: int) -> None:
    await world.crash_with(*(at(world, world.numbered(number), number % SHARDS) for number in range(40)))
    world.clock.move(6)
    slow.down = f"billing-{shard}"
    with pytest.raises(Unavailable, match=f"billing-{shard}") as refusal:
        await world.outbox.sweep()
    assert refusal.value.code == "store_unavailable"
    assert sorted(world.bus.numbers) == [number for number in range(40) if number % SHARDS != shard]
    slow.down = ""
    assert await world.outbox.sweep() == 10


async def test_while_the_store_is_down_each_shard_is_asked_for_once(world: World, slow: Slow) -> None:
    """More would take longer than the handler has."""
    slow.down = "billing"
    with pytest.raises(Unavailable):
        await world.outbox.sweep()
    assert slow.asked == SHARDS
