"""The transactional outbox: events are stored in the commit that makes them true, and published after it."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from shared import bus, events
from shared.bus import Bus, Message
from shared.errors import Unavailable
from shared.events import CloudEvent
from shared.ids import Clock, new_id
from shared.logs import CONTEXT
from shared.metrics import Reading
from shared.store import Body, Create, Delete, Doc, Key, Page, Query, Scope, Store, Version, Write
from shared.store.bodies import from_body, stamp
from shared.store.page_size import PageSize

SHARDS = 4
PUBLISH_SECONDS = 0.3
SWEEP_AGE = timedelta(seconds=5)
SWEEP_PAGE = 200
MAX_ENTRY_BYTES = 850_000
SEND_BYTES = 1_000_000
"""The most that one call publishes, unless one message is larger: a call must take less than a second."""

DUE = Query("outbox_due", "entries", order="created_at")
QUERIES = (DUE,)

_log = logging.getLogger(__name__)


class _Entry(msgspec.Struct, frozen=True):
    topic: str
    data: str
    attributes: dict[str, str]


class Outbox:
    """Makes the outbox entries of one producer (`auth`, `billing`, `tenants`), and publishes leftovers."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, producer: str) -> None:
        self._store = store
        self._platform: Scope = store.platform()
        self._bus = bus
        self._clock = clock
        self._producer = producer
        self._swept = 0

    def readings(self) -> Iterator[Reading]:
        """What `Metrics` shows of it."""
        help_text = "Outbox entries that a sweep published."
        yield Reading("energent_outbox_swept", help_text, self._swept)

    def entries(self, name: str, tenant_id: str, data: Any) -> list[Create]:
        """The writes that put the event `name` about a tenant into a commit: one entry for each of its
        topics. The event carries the trace of the request that is being answered.
        """
        event = events.make(
            name,
            event_id=new_id("evt"),
            source=f"//energent/{self._producer}",
            subject=tenant_id,
            time=self._clock(),
            data=data,
        )
        context = CONTEXT.get()
        if context is not None and context.trace.id:
            event = msgspec.structs.replace(event, traceparent=context.trace.traceparent())
        return self.entries_of(event, events.DESTINATIONS[name])

    def entries_of(self, event: CloudEvent, topics: Sequence[str]) -> list[Create]:
        """The same for an event that exists already."""
        message = events.to_message(event)
        return [self.entry(topic, message) for topic in topics]

    def entry(self, topic: str, message: Message) -> Create:
        """The write for one message to a topic. ValueError if it is not UTF-8 or the bus would refuse it."""
        bus.check(topic, message)
        if len(msgspec.json.encode(message.data.decode())) > MAX_ENTRY_BYTES:
            raise ValueError(f"a message over {MAX_ENTRY_BYTES} bytes fits no document")
        shard = f"{self._producer}-{random.randrange(SHARDS)}"  # noqa: S311 - spreads load
        body: Body = {
            "topic": topic,
            "data": message.data.decode(),
            "attributes": message.attributes,
            "created_at": stamp(self._clock()),
        }
        return Create(self._platform.key("outbox", shard, "entries", new_id("out")), body)

    async def sweep(self) -> int:
        """Publishes this producer's entries that are older than 5 s, oldest first, and returns their number.

        Two sweeps at once publish an entry twice. A failing topic, a failing shard and an entry that this
        version cannot read do not hold up the others. Raises `Unavailable` at the end if a topic or shard
        failed.
        """
        before = stamp(self._clock() - SWEEP_AGE)
        size = PageSize(SWEEP_PAGE)
        down: set[str] = set()
        unread: list[str] = []
        swept = 0
        for number in range(SHARDS):
            shard = f"{self._producer}-{number}"
            try:
                async for docs in self._due(shard, before, size):
                    swept += await self._publish(docs, down)
            except Unavailable as outage:
                _log.warning("sweep: the rest of %s waits: %s", shard, outage)
                unread.append(shard)
        if down:
            raise Unavailable("bus_unavailable", f"Nothing could be published to {', '.join(sorted(down))}.")
        if unread:
            raise Unavailable("store_unavailable", f"Nothing could be read of {', '.join(unread)}.")
        return swept

    async def _due(self, shard: str, before: str, size: PageSize) -> AsyncIterator[list[Doc]]:
        """The entries of a shard that are due, page by page. Raises `Unavailable`."""
        cursor: str | None = None

        async def ask(limit: int) -> Page:
            return await self._platform.query(DUE, "outbox", shard, until=before, limit=limit, cursor=cursor)

        while True:
            page = await size.page(ask)
            yield page.docs
            cursor = page.cursor
            if cursor is None:
                return

    async def _publish(self, docs: Sequence[Doc], down: set[str]) -> int:
        """Publishes entries and returns their number. Topics that fail are added to `down`; entries for
        topics that are in it already are skipped.
        """
        published = 0
        for topic, due in _by_topic((doc.key, doc.body) for doc in docs).items():
            if topic in down:
                continue
            try:
                for part in _parts(due):
                    await _send(self._store, self._bus, topic, part)
                    published += len(part)
                    self._swept += len(part)
            except Unavailable as failure:
                _log.warning("sweep: events to %s wait: %s", topic, failure)
                down.add(topic)
        return published


class PublishingStore(Store):
    """A store whose commit publishes the outbox entries in it before it returns, for at most 300 ms.

    Entries that are not published by then (a slow bus, a crash) are left to the sweep. The commit has
    happened in any case.
    """

    def __init__(self, inner: Store, bus: Bus) -> None:
        self._inner = inner
        self._bus = bus
        self._left = 0

    def readings(self) -> Iterator[Reading]:
        """What `Metrics` shows of it."""
        help_text = "Outbox entries that could not be published with their commit and were left to a sweep."
        yield Reading("energent_outbox_left", help_text, self._left)

    async def commit(self, *writes: Write) -> list[Version | None]:
        versions = await self._inner.commit(*writes)
        made = [write for write in writes if type(write) is Create and write.key.path.startswith("outbox/")]
        if made:
            await self._publish(_by_topic((write.key, write.body) for write in made))
        return versions

    async def _publish(self, entries: dict[str, dict[Key, Message]]) -> None:
        """Publishes `entries`, and removes from it those that were."""
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                for topic in tuple(entries):
                    await _send(self._inner, self._bus, topic, entries[topic])
                    del entries[topic]
        except Exception as failure:  # noqa: BLE001 - the entries stand; the sweep publishes them
            self._left += sum(map(len, entries.values()))
            _log.warning("left events to the sweep: %r", failure)

    async def read(self, *keys: Key) -> list[Doc | None]:
        return await self._inner.read(*keys)

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
        return await self._inner.run(query, collection, equal, since, until, limit, cursor)

    async def close(self) -> None:
        await self._inner.close()


def _by_topic(entries: Iterable[tuple[Key, Body]]) -> dict[str, dict[Key, Message]]:
    """The messages by topic. An entry of another version that this one cannot publish is logged and kept."""
    by_topic: dict[str, dict[Key, Message]] = {}
    for key, body in entries:
        try:
            entry = from_body(body, _Entry)
            message = Message(entry.data.encode(), entry.attributes)
            bus.check(entry.topic, message)
        except ValueError as wrong:
            _log.error("outbox entry %s cannot be published: %s", key.path, wrong)
            continue
        by_topic.setdefault(entry.topic, {})[key] = message
    return by_topic


def _parts(due: Mapping[Key, Message]) -> Iterator[dict[Key, Message]]:
    """The entries in order, in parts of at most `SEND_BYTES`: a later failure does not undo earlier parts."""
    part: dict[Key, Message] = {}
    room = SEND_BYTES
    for key, message in due.items():
        taken = bus.size(message)
        if part and taken > room:
            yield part
            part, room = {}, SEND_BYTES
        part[key] = message
        room -= taken
    if part:
        yield part


async def _send(store: Store, to: Bus, topic: str, due: Mapping[Key, Message]) -> None:
    """Publishes, then deletes the entries: a crash in between publishes them twice, and never not at all."""
    await to.publish(topic, tuple(due.values()))
    await store.commit(*(Delete(key) for key in due))
