"""The quarantine: what is kept of a message, that it is kept once, and how it is sent again."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import outbox, quarantine
from shared.audit import Actor
from shared.bus import BILLING_EVENTS, Message
from shared.bus.local import LocalBus
from shared.envelope import event_of
from shared.errors import Conflict, NotFound
from shared.outbox import Outbox, PublishingStore
from shared.quarantine import MAX_DETAIL_CHARS, MAX_KEPT_BYTES, Quarantine
from shared.store import MAX_DOCUMENT_BYTES, AlreadyExists, Query
from shared.store.sqlite import SqliteStore
from tests.tokens import NOW, Time
from tests.unit.events.deliveries import delivery, event_bytes

pytestmark = pytest.mark.anyio

OPERATOR = Actor("service_account", "sa_ops", "platform")
AUDIT = Query("audit_of_tests", "audit", order="at")


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = Time()
        self.bus = LocalBus(folder / "bus.db", self.clock)
        queries = (*quarantine.QUERIES, *outbox.QUERIES, AUDIT)
        self.store = PublishingStore(SqliteStore(folder / "store.db", queries), self.bus)
        self.outbox = Outbox(self.store, self.bus, self.clock, "billing")
        self.shelf = Quarantine(self.store, self.clock, "billing")

    async def keep(self, data: bytes | None = None, **changes: Any) -> str:
        write = self.shelf.write(delivery(data, **changes), "bad", "It is bad.")
        await self.shelf.put(write)
        return write.key.id

    async def sent(self) -> list[Message]:
        return [leased.message for leased in await self.bus.lease("all", 100, 60)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.bus.subscribe(BILLING_EVENTS, "all")
    yield made
    await made.store.close()
    await made.bus.close()


async def test_it_keeps_the_message_whole(world: World) -> None:
    await world.keep(b"\x00\xff", attributes={"a": "b"})
    (kept,) = (await world.shelf.list()).items
    assert base64.b64decode(kept.body) == b"\x00\xff"
    assert (kept.message_id, kept.attributes, kept.topic) == ("17", {"a": "b"}, "billing-events")
    assert kept.subscription == "projects/p/subscriptions/billing-events-push"
    assert (kept.reason, kept.detail, kept.function, kept.received_at) == (
        "bad",
        "It is bad.",
        "billing",
        NOW,
    )
    assert (kept.truncated, kept.whole_request) == (False, False)
    assert await world.shelf.get(kept.id) == kept


async def test_a_redelivery_is_the_same_document_and_anything_else_another(world: World) -> None:
    first = await world.keep()
    world.clock.move(100)
    assert await world.keep(attempt=3) == first
    others = [
        await world.keep(b"other"),
        await world.keep(message_id="18"),
        await world.keep(topic="auth-events"),
        await world.keep(subscription="other"),
        Quarantine(world.store, world.clock, "auth").write(delivery(), "bad", "It is bad.").key.id,
    ]
    assert len({first, *others}) == 6
    assert (await world.shelf.get(first)).received_at == NOW


async def test_requests_of_which_nothing_is_known_are_kept_each(world: World) -> None:
    ids = {world.shelf.write_request({}, None, "too_large", "").key.id for _ in range(2)}
    assert len(ids) == 2


async def test_everything_that_is_too_much_is_cut_so_that_the_document_fits(world: World) -> None:
    huge = world.shelf.write(
        delivery(
            b'"' * 9_900_000,
            attributes={str(number): "\x01" * 1024 for number in range(100)},
            message_id="m" * 10_000,
            topic="t" * 10_000,
            subscription="s" * 10_000,
        ),
        "bad",
        "d" * 10_000,
    )
    await world.shelf.put(huge)
    kept = await world.shelf.get(huge.key.id)
    assert kept.truncated
    assert base64.b64decode(kept.body) == b'"' * MAX_KEPT_BYTES
    assert (len(kept.detail), kept.attributes) == (MAX_DETAIL_CHARS, {})
    assert len(msgspec.json.encode(huge.body)) < MAX_DOCUMENT_BYTES


async def test_all_attributes_that_pubsub_lets_through_are_kept(world: World) -> None:
    attributes = {f"{number:0256}": "v" * 1024 for number in range(100)}
    kept = await world.shelf.get(await world.keep(attributes=attributes))
    assert (kept.attributes, kept.truncated) == (attributes, False)


async def test_the_newest_come_first_page_by_page(world: World) -> None:
    ids = []
    for number in range(5):
        ids.append(await world.keep(b"%d" % number))
        world.clock.move(1)
    first = await world.shelf.list(limit=3)
    second = await world.shelf.list(limit=3, cursor=first.next_cursor)
    assert [kept.id for kept in (*first.items, *second.items)] == ids[::-1]
    assert second.next_cursor is None


async def test_one_event_of_a_batch_is_kept_in_the_commit_of_the_others(world: World) -> None:
    event = event_of(delivery())
    cut = msgspec.structs.replace(event, data=msgspec.Raw(b'{"events":[{"id":"2"}]}'))
    writes = [world.shelf.write(delivery(), "invalid", "no", cut, part=part) for part in (0, 1)]
    await world.store.commit(*writes)
    with pytest.raises(AlreadyExists) as again:
        await world.store.commit(world.shelf.write(delivery(), "invalid", "no", cut, part=1))
    assert again.value.key.kind == "quarantine"
    kept = await world.shelf.get(writes[1].key.id)
    assert (kept.event_type, kept.subject) == (event.type, event.subject)
    await world.shelf.replay(kept.id, world.outbox, OPERATOR)
    (sent,) = await world.sent()
    replayed = event_of(delivery(sent.data))
    assert (replayed.id, bytes(replayed.data)) == (event.id, b'{"events":[{"id":"2"}]}')


async def test_one_event_of_a_batch_is_kept_without_the_attributes_of_the_batch(world: World) -> None:
    """Or 500 of them would each keep 128 kB."""
    event = event_of(delivery())
    batch = delivery(attributes={"type": "t", **{str(number): "v" * 1024 for number in range(90)}})
    await world.shelf.put(world.shelf.write(batch, "invalid", "no", event, part=3))
    (kept,) = (await world.shelf.list()).items
    assert kept.attributes == {"type": event.type, "subject": "tnt_acme"}


async def test_a_replay_sends_the_message_as_it_was_and_takes_it_off_the_shelf(world: World) -> None:
    """P15."""
    quarantine_id = await world.keep(attributes={"type": "t"})
    await world.shelf.replay(quarantine_id, world.outbox, OPERATOR)
    assert await world.sent() == [Message(event_bytes(), {"type": "t"})]
    assert (await world.shelf.list()).items == []
    page = await world.store.tenant("platform").query(AUDIT)
    (record,) = [doc.body for doc in page.docs]
    assert (record["action"], record["target"]) == ("quarantine.replay", quarantine_id)
    assert record["actor"]["id"] == "sa_ops"


async def test_a_message_is_replayed_once(world: World) -> None:
    quarantine_id = await world.keep()
    await world.shelf.replay(quarantine_id, world.outbox, OPERATOR)
    with pytest.raises(NotFound):
        await world.shelf.replay(quarantine_id, world.outbox, OPERATOR)
    assert len(await world.sent()) == 1


async def test_a_replayed_message_that_is_no_better_is_kept_anew(world: World) -> None:
    first = await world.keep(message_id="17")
    await world.shelf.replay(first, world.outbox, OPERATOR)
    assert await world.keep(message_id="18") != first


@pytest.mark.parametrize(
    "changes",
    [
        {"data": b"x" * (MAX_KEPT_BYTES + 1)},
        {"data": b"\xff"},
        {"data": b""},
        {"topic": ""},
        {"topic": "somebody-elses"},
        {"attributes": {"a": "v" * 1025}},
        {"attributes": {str(number): "v" * 10_000 for number in range(20)}},
    ],
)
async def test_what_cannot_be_a_message_again_is_not_replayed_and_stays(
    world: World, changes: dict[str, Any]
) -> None:
    quarantine_id = await world.keep(**changes)
    with pytest.raises(Conflict, match="not_replayable"):
        await world.shelf.replay(quarantine_id, world.outbox, OPERATOR)
    await world.shelf.get(quarantine_id)
    assert await world.sent() == []


async def test_text_that_grows_in_json_is_replayed_or_refused_but_no_error(world: World) -> None:
    await world.shelf.replay(await world.keep(b'"' * MAX_KEPT_BYTES), world.outbox, OPERATOR)
    grows = await world.keep(b"\x01" * MAX_KEPT_BYTES)
    with pytest.raises(Conflict):
        await world.shelf.replay(grows, world.outbox, OPERATOR)


async def test_a_whole_request_is_not_replayed(world: World) -> None:
    write = world.shelf.write_request({"ce-id": "17"}, b"[1]", "bad", "It is bad.")
    await world.shelf.put(write)
    with pytest.raises(Conflict, match="not all of a message"):
        await world.shelf.replay(write.key.id, world.outbox, OPERATOR)


async def test_an_unknown_id_is_not_found(world: World) -> None:
    for unknown in ("qrn_x", "../quarantine", "%"):
        with pytest.raises(NotFound):
            await world.shelf.get(unknown)
