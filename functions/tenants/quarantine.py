"""Operators' use-cases on the quarantine: read, replay and dismiss messages, each with an audit record."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared import audit
from shared.audit import Actor
from shared.bus import Message
from shared.errors import Conflict, NotFound
from shared.http.pagination import Listing, checked
from shared.ids import Clock, is_id
from shared.outbox import Outbox
from shared.quarantine import NEWEST, NEWEST_OF, Quarantined
from shared.store import Create, Delete, Doc, Page, Query, Store, until_not_stale
from shared.store.bodies import from_body, stamp
from shared.store.page_size import PageSize

OPERATORS = "platform"
"""The tenant in whose audit log these use-cases are recorded."""
PAGE = 20
"""How many messages are in memory at once; each can have a megabyte."""
AT_ONCE = 8
"""How many messages are replayed concurrently."""

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Time = Annotated[datetime, Meta(tz=True)]


class Selection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A filter: messages must match each given field. `event_type` is in full; `until` is exclusive."""

    reason: Name | None = None
    function: Literal["auth", "billing", "tenants"] | None = None
    event_type: Name | None = None
    tenant_id: Name | None = None
    since: Time | None = None
    until: Time | None = None


EVERYTHING = Selection()


class Skipped(msgspec.Struct, frozen=True):
    """A message that was not replayed, and why. Except for `no_such_message` it is still quarantined."""

    id: str
    code: str
    detail: str


class Replayed(msgspec.Struct, frozen=True):
    """`next_cursor` continues with older messages; None if there are none."""

    replayed: int
    skipped: list[Skipped]
    next_cursor: str | None


class Shelf:
    """The quarantine of all functions. Of several filters one is looked up in an index (the first given of
    tenant, event type, reason, function), and the others are applied to its results.
    """

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._scope = store.platform()
        self._outbox = outbox
        self._clock = clock

    async def listed(self, selection: Selection, limit: int, cursor: str | None) -> Listing[Quarantined]:
        """Newest first, without bodies and attributes. Examines `limit` messages and returns matching ones,
        which may be fewer. Raises BadRequest for a cursor that is not of this list.
        """
        found: list[Quarantined] = []
        async for page in self._pages(selection, limit, cursor):
            found += (msgspec.structs.replace(kept, body="", attributes={}) for kept in page.items)
            cursor = page.next_cursor
        return Listing(found, cursor)

    async def read(self, quarantine_id: str, actor: Actor) -> Quarantined:
        """The whole message. Reading is audited, because it shows a tenant's data. Raises NotFound."""
        kept = _value(await self._found(quarantine_id))
        await self._store.commit(self._record("quarantine.read", kept, actor))
        return kept

    async def replay(self, quarantine_id: str, actor: Actor) -> None:
        """Publishes the message to its topic again and removes it from the quarantine, in one commit, so that
        concurrent calls replay it once. Raises `NotFound`, and `Conflict` for one that cannot be replayed.
        """

        async def attempt() -> None:
            doc = await self._found(quarantine_id)
            kept = _value(doc)
            await self._store.commit(
                self._entry(kept),
                Delete(doc.key, doc.version),
                self._record("quarantine.replay", kept, actor),
            )

        await until_not_stale(attempt)

    async def replay_all(
        self, selection: Selection, limit: int, cursor: str | None, actor: Actor
    ) -> Replayed:
        """Replays those of the next `limit` messages that match the selection, in no particular order.

        Messages quarantined meanwhile are newer: following `next_cursor` comes to an end. Raises BadRequest
        for a cursor that is not of this list, and Unavailable in an outage: a second call does the rest.
        """
        sent = 0
        skipped: list[Skipped] = []
        async for page in self._pages(selection, limit, cursor):
            refused = await self._replay_each([kept.id for kept in page.items], actor)
            skipped += refused
            sent += len(page.items) - len(refused)
            cursor = page.next_cursor
        return Replayed(sent, skipped, cursor)

    async def dismiss(self, quarantine_id: str, actor: Actor) -> None:
        """Deletes the message. Raises `NotFound`."""

        async def attempt() -> None:
            doc = await self._found(quarantine_id)
            await self._store.commit(
                Delete(doc.key, doc.version), self._record("quarantine.dismiss", _value(doc), actor)
            )

        await until_not_stale(attempt)

    async def _pages(
        self, selection: Selection, limit: int, cursor: str | None
    ) -> AsyncIterator[Listing[Quarantined]]:
        """The matching ones of the next `limit` messages. Raises BadRequest and Unavailable."""
        query, equal, others = _query(selection)
        size = PageSize(PAGE)

        async def ask(limit: int) -> Page:
            with checked(cursor):
                return await self._scope.query(
                    query,
                    equal=equal,
                    since=stamp(selection.since) if selection.since else None,
                    until=stamp(selection.until) if selection.until else None,
                    limit=limit,
                    cursor=cursor,
                )

        left = limit
        while left:
            page = await size.page(ask, left)
            values = map(_value, page.docs)
            chosen = [
                kept for kept in values if all(getattr(kept, name) == value for name, value in others.items())
            ]
            yield Listing(chosen, page.cursor)
            left -= len(page.docs)
            cursor = page.cursor
            if cursor is None:
                return

    async def _replay_each(self, ids: Sequence[str], actor: Actor) -> list[Skipped]:
        """Returns the messages that were not replayed."""
        refused: list[Skipped] = []
        for start in range(0, len(ids), AT_ONCE):
            tries = (self._try(quarantine_id, actor) for quarantine_id in ids[start : start + AT_ONCE])
            for outcome in await asyncio.gather(*tries, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is not None:
                    refused.append(outcome)
        return refused

    async def _try(self, quarantine_id: str, actor: Actor) -> Skipped | None:
        try:
            await self.replay(quarantine_id, actor)
        except (NotFound, Conflict) as refusal:
            return Skipped(quarantine_id, refusal.code, refusal.detail)
        return None

    async def _found(self, quarantine_id: str) -> Doc:
        doc = await self._scope.get("quarantine", quarantine_id) if is_id(quarantine_id) else None
        if doc is None:
            detail = "There is no such message in the quarantine, or it was replayed or dismissed already."
            raise NotFound("no_such_message", detail)
        return doc

    def _entry(self, kept: Quarantined) -> Create:
        """The outbox entry that publishes the message, without attributes reserved for Google's library.

        Raises `Conflict` `not_replayable`.
        """
        if kept.whole_request:
            raise _not_replayable("No message could be made of this request")
        if kept.truncated:
            raise _not_replayable("It was too large to be kept whole")
        attributes = {name: value for name, value in kept.attributes.items() if not name.startswith("goog")}
        try:
            return self._outbox.entry(kept.topic, Message(kept.data(), attributes))
        except UnicodeDecodeError:
            raise _not_replayable("It is not UTF-8, which every event is") from None
        except ValueError as refused:
            raise _not_replayable(f"No topic takes it: {refused}") from None

    def _record(self, action: str, kept: Quarantined, actor: Actor) -> Create:
        return audit.record(
            self._store,
            OPERATORS,
            actor=actor,
            action=action,
            target=kept.id,
            at=self._clock(),
            detail={
                "reason": kept.reason,
                "message_id": kept.message_id,
                "event_type": kept.event_type,
                "tenant_id": kept.subject,
            },
        )


def _query(selection: Selection) -> tuple[Query, dict[str, str | int | bool], dict[str, str]]:
    """The query, its equality filter, and the filters that must be applied to its results."""
    given = {
        "subject": selection.tenant_id,
        "event_type": selection.event_type,
        "reason": selection.reason,
        "function": selection.function,
    }
    wanted = {field: value for field, value in given.items() if value is not None}
    for field, query in NEWEST_OF.items():
        if field in wanted:
            return query, {field: wanted.pop(field)}, wanted
    return NEWEST, {}, {}


def _value(doc: Doc) -> Quarantined:
    return from_body(doc.body, Quarantined)


def _not_replayable(why: str) -> Conflict:
    return Conflict("not_replayable", f"{why}. Ask its publisher for it again, or dismiss it.")
