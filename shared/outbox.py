"""Events leave in the commit that makes them true: entries are documents, published after it and by sweep."""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from shared import events
from shared.bus import Bus, Message
from shared.events import CloudEvent
from shared.ids import Clock, new_id
from shared.store import (
    Body,
    Create,
    Delete,
    Doc,
    Key,
    Page,
    Query,
    Scope,
    Store,
    Version,
    Write,
)
from shared.store.bodies import stamp

SHARDS = 4
PUBLISH_SECONDS = 0.3
SWEEP_AGE = timedelta(seconds=5)
SWEEP_PAGE = 200

DUE = Query("outbox_due", "entries", order="created_at")
QUERIES = (DUE,)

_log = logging.getLogger(__name__)


class Outbox:
    """Makes entries for one producer (`auth`, `billing`, `tenants`) and sweeps what was left over."""

    def __init__(self, store: Store, bus: Bus, clock: Clock, producer: str) -> None:
        self._store = store
        self._platform: Scope = store.platform()
        self._bus = bus
        self._clock = clock
        self._producer = producer

    def entries(self, name: str, tenant_id: str, data: Any) -> list[Create]:
        """Writes for the commit: the event `name` about a tenant, one entry for each destination topic."""
        event = events.make(
            name,
            event_id=new_id("evt"),
            source=f"//energent/{self._producer}",
            subject=tenant_id,
            time=self._clock(),
            data=data,
        )
        return self.entries_of(event, events.DESTINATIONS[name])

    def entries_of(self, event: CloudEvent, topics: Sequence[str]) -> list[Create]:
        """The same for an event that is already made."""
        message = events.to_message(event)
        return [self.entry(topic, message) for topic in topics]

    def entry(self, topic: str, message: Message) -> Create:
        """One message to one topic; `message.data` must be UTF-8."""
        shard = f"{self._producer}-{random.randrange(SHARDS)}"  # noqa: S311 - spreads load
        body: Body = {
            "topic": topic,
            "data": message.data.decode(),
            "attributes": message.attributes,
            "created_at": stamp(self._clock()),
        }
        return Create(self._platform.key("outbox", shard, "entries", new_id("out")), body)

    async def sweep(self) -> int:
        """Publishes the entries of this producer that are older than 5 s; returns how many."""
        before = stamp(self._clock() - SWEEP_AGE)
        swept = 0
        for shard in range(SHARDS):
            parents = ("outbox", f"{self._producer}-{shard}")
            while True:
                page = await self._platform.query(DUE, *parents, until=before, limit=SWEEP_PAGE)
                await _publish(self._store, self._bus, {doc.key: doc.body for doc in page.docs})
                swept += len(page.docs)
                if page.cursor is None:
                    break
        return swept


class PublishingStore(Store):
    """A store whose commit also publishes the outbox entries in it, within 300 ms, before it returns.

    What is not published by then (a slow bus, a crash) is left to the sweep; the commit stands anyway.
    """

    def __init__(self, inner: Store, bus: Bus) -> None:
        self._inner = inner
        self._bus = bus

    async def commit(self, *writes: Write) -> list[Version | None]:
        versions = await self._inner.commit(*writes)
        due = {
            write.key: write.body
            for write in writes
            if isinstance(write, Create) and write.key.path.startswith("outbox/")
        }
        if due:
            try:
                await asyncio.wait_for(_publish(self._inner, self._bus, due), PUBLISH_SECONDS)
            except Exception as failure:  # noqa: BLE001 - the entries stand; the sweep publishes them
                _log.warning("left %d events to the sweep: %r", len(due), failure)
        return versions

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


async def _publish(store: Store, bus: Bus, due: Mapping[Key, Body]) -> None:
    by_topic: dict[str, list[Message]] = {}
    for body in due.values():
        message = Message(body["data"].encode(), body["attributes"])
        by_topic.setdefault(body["topic"], []).append(message)
    for topic, messages in by_topic.items():
        await bus.publish(topic, messages)
    if due:
        await store.commit(*(Delete(key) for key in due))
