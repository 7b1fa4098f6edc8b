"""The quarantine: what is kept of a message, and that it is kept once."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared import quarantine
from shared.envelope import event_of
from shared.quarantine import MAX_DETAIL_CHARS, MAX_KEPT_BYTES, MAX_KEPT_TEXT_BYTES, Quarantine, Quarantined
from shared.store import MAX_DOCUMENT_BYTES, AlreadyExists, DocumentTooLarge, Version, Write
from shared.store.sqlite import SqliteStore
from tests.shelf import shelved
from tests.tokens import NOW, Time
from tests.unit.events.deliveries import delivery

pytestmark = pytest.mark.anyio


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = Time()
        self.store = SqliteStore(folder / "store.db", quarantine.QUERIES)
        self.quarantine = Quarantine(self.store, self.clock, "billing")

    async def keep(self, data: bytes | None = None, **changes: Any) -> Quarantined:
        write = self.quarantine.write(delivery(data, **changes), "bad", "It is bad.")
        await self.quarantine.put(write)
        return next(kept for kept in await self.shelved() if kept.id == write.key.id)

    async def shelved(self) -> list[Quarantined]:
        return await shelved(self.store)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.store.close()


async def test_it_keeps_the_message_whole(world: World) -> None:
    kept = await world.keep(b"\x00\xff", attributes={"a": "b"}, publish_time=NOW, attempt=2)
    assert kept.data() == b"\x00\xff"
    assert (kept.message_id, kept.attributes, kept.topic) == ("17", {"a": "b"}, "billing-events")
    assert kept.subscription == "projects/p/subscriptions/billing-events-push"
    assert (kept.reason, kept.detail, kept.function) == ("bad", "It is bad.", "billing")
    assert (kept.received_at, kept.published_at, kept.attempts) == (NOW, NOW, 2)
    assert (kept.truncated, kept.whole_request) == (False, False)


async def test_a_message_whose_sender_names_no_topic_belongs_to_the_functions_own(world: World) -> None:
    """A push subscription made by hand; only its topic is pushed here."""
    assert (await world.keep(topic="")).topic == "billing-events"


async def test_a_redelivery_is_the_same_document_and_anything_else_another(world: World) -> None:
    first = await world.keep()
    world.clock.move(100)
    assert await world.keep(attempt=3) == first
    others = [
        await world.keep(b"other"),
        await world.keep(message_id="18"),
        await world.keep(topic="auth-events"),
        await world.keep(subscription="other"),
    ]
    auths = Quarantine(world.store, world.clock, "auth").write(delivery(), "bad", "It is bad.")
    assert len({first.id, auths.key.id, *(other.id for other in others)}) == 6
    assert first.received_at == NOW


async def test_requests_of_which_nothing_is_known_are_kept_each(world: World) -> None:
    ids = {world.quarantine.write_request({}, None, "too_large", "").key.id for _ in range(2)}
    assert len(ids) == 2


async def test_everything_that_is_too_much_is_cut_so_that_the_document_fits(world: World) -> None:
    huge = world.quarantine.write(
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
    await world.quarantine.put(huge)
    (kept,) = await world.shelved()
    assert kept.truncated
    assert kept.data() == b'"' * MAX_KEPT_BYTES
    assert (len(kept.detail), kept.attributes) == (MAX_DETAIL_CHARS, {})
    assert len(msgspec.json.encode(huge.body)) < MAX_DOCUMENT_BYTES


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"x" * (MAX_KEPT_TEXT_BYTES - 2), True),
        (b"x" * (MAX_KEPT_TEXT_BYTES - 1), False),
        (b'"' * (MAX_KEPT_TEXT_BYTES // 2 - 1), True),
        ("é".encode() * (MAX_KEPT_TEXT_BYTES // 2 - 1), True),
        (b"\0" * 138_000, True),
        (b"\x01" * 138_000, True),
        (b"\xff" * MAX_KEPT_BYTES, True),
        (b"\xff" * (MAX_KEPT_BYTES + 1), False),
    ],
)
async def test_what_an_outbox_entry_could_hold_is_kept_whole_with_every_attribute(
    world: World, data: bytes, whole: bool
) -> None:
    attributes = {f"{number:0256}": "v" * 1024 for number in range(100)}
    kept = await world.keep(data, attributes=attributes, message_id="\x01" * 256)
    assert (kept.attributes, kept.truncated) == (attributes, not whole)
    assert data.startswith(kept.data())
    assert (kept.data() == data) == whole


async def test_one_event_of_a_batch_is_kept_in_the_commit_of_the_others(world: World) -> None:
    event = event_of(delivery())
    cut = msgspec.structs.replace(event, data=msgspec.Raw(b'{"events":[{"id":"2"}]}'))
    writes = [world.quarantine.write(delivery(), "invalid", "no", cut, part=part) for part in (0, 1)]
    await world.store.commit(*writes)
    with pytest.raises(AlreadyExists) as again:
        await world.store.commit(world.quarantine.write(delivery(), "invalid", "no", cut, part=1))
    assert again.value.key.kind == "quarantine"
    for kept in await world.shelved():
        assert (kept.event_type, kept.subject) == (event.type, event.subject)
        alone = event_of(delivery(kept.data()))
        assert (alone.id, bytes(alone.data)) == (event.id, b'{"events":[{"id":"2"}]}')


async def test_one_event_of_a_batch_is_kept_without_the_attributes_of_the_batch(world: World) -> None:
    """Or 500 of them would each keep 128 kB."""
    event = event_of(delivery())
    batch = delivery(attributes={"type": "t", **{str(number): "v" * 1024 for number in range(90)}})
    await world.quarantine.put(world.quarantine.write(batch, "invalid", "no", event, part=3))
    (kept,) = await world.shelved()
    assert kept.attributes == {"type": event.type, "subject": "tnt_acme"}


async def test_it_counts_what_it_is_asked_to_keep(world: World) -> None:
    await world.keep()
    world.quarantine.write_request({}, None, "too_large", "")
    (reading,) = world.quarantine.readings()
    assert reading.value == 2


class Narrow(SqliteStore):
    """Has less room than it should."""

    async def commit(self, *writes: Write) -> list[Version | None]:
        if len(msgspec.json.encode([getattr(write, "body", {}) for write in writes])) > 400_000:
            raise DocumentTooLarge("a document of more than was said")
        return await super().commit(*writes)


@pytest.mark.parametrize("data", [b"x" * 800_000, b"\0" * 130_000, b"\xff" * MAX_KEPT_BYTES])
async def test_what_a_store_finds_too_large_is_cut_rather_than_tried_for_ever(
    tmp_path: Path, data: bytes
) -> None:
    """P6."""
    narrow = Narrow(tmp_path / "narrow.db", quarantine.QUERIES)
    shelf = Quarantine(narrow, Time(), "billing")
    for _ in range(2):
        await shelf.put(shelf.write(delivery(data, attributes={"a": "v" * 1024}), "bad", "It is bad."))
    (kept,) = await shelved(narrow)
    assert (kept.reason, kept.message_id, kept.truncated, kept.attributes) == ("bad", "17", True, {})
    assert kept.data()
    assert data.startswith(kept.data())
    await narrow.close()
