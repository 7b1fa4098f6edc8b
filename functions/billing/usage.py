"""Records usage: each event counts once, however often it is sent, and a bad one is quarantined alone."""

import logging
import random
from collections.abc import Awaitable, Callable, Collection

import msgspec

from functions.billing import records
from functions.billing.domain import metering
from functions.billing.domain.metering import Refused, Use
from shared.envelope import Delivery
from shared.errors import Unavailable
from shared.event_door import Rejected, data_of
from shared.events import CloudEvent
from shared.ids import Clock
from shared.payloads import UsageBatch, UsageEvent
from shared.quarantine import Quarantine
from shared.store import (
    MAX_COMMIT_BYTES,
    AlreadyExists,
    Create,
    DocumentTooLarge,
    Key,
    OutOfRange,
    Scope,
    Store,
    Write,
)
from shared.store.bodies import stamp

MAX_EVENTS = 500
MAX_DATA_BYTES = 1_000_000

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(UsageEvent)


class _Message:
    """The state of one `usage.recorded` message: the events to count, and those to quarantine."""

    def __init__(self, event: CloudEvent, delivery: Delivery, quarantine: Quarantine) -> None:
        self._event = event
        self._delivery = delivery
        self._quarantine = quarantine
        self._parts: dict[Key, int] = {}
        self.raws = _raws(event)
        self.uses: dict[Key, Use] = {}
        self.set_aside: dict[Key, Create] = {}
        self._bytes_set_aside = 0

    def count(self, key: Key, use: Use, part: int) -> None:
        """Adds an event to count. If the message has an earlier event of the same key, an equal one is
        dropped and a different one refused.
        """
        first = self.uses.get(key)
        if first is None:
            self.uses[key] = use
            self._parts[key] = part
        elif first != use:
            self.refuse(part, _conflict())

    def refuse(self, part: int, refused: Refused) -> None:
        """Quarantines one event of the message as a message of its own, so that it can be replayed alone.

        Raises `DocumentTooLarge` once the refused events are too large for one commit.
        """
        whole = self._event
        alone = CloudEvent(
            id=whole.id,
            source=whole.source,
            type=whole.type,
            time=whole.time,
            subject=whole.subject,
            data=msgspec.Raw(b'{"events":[%b]}' % bytes(self.raws[part])),
        )
        write = self._quarantine.write(self._delivery, refused.reason, refused.detail, alone, part=part)
        self.set_aside[write.key] = write
        self._bytes_set_aside += len(msgspec.json.encode(write.body))
        if self._bytes_set_aside > MAX_COMMIT_BYTES:
            raise DocumentTooLarge(f"more than {MAX_COMMIT_BYTES} bytes to set aside")

    def drop(self, key: Key, *, is_same: bool) -> None:
        """Removes what exists in the store. An event that differs from the stored one is refused."""
        if self.set_aside.pop(key, None) is None:
            del self.uses[key]
            if not is_same:
                self.refuse(self._parts[key], _conflict())


class Recorder:
    """Handles `usage.recorded`. It commits without reading, and reads only if something exists already."""

    def __init__(
        self,
        store: Store,
        quarantine: Quarantine,
        clock: Clock,
        meters: Collection[str],
        check_tenant: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._quarantine = quarantine
        self._clock = clock
        self._meters = meters
        self._check_tenant = check_tenant

    async def record(self, event: CloudEvent, delivery: Delivery) -> None:
        """Counts the message's events. Raises `Unavailable`, and `Rejected` if the events cannot be handled
        one by one.
        """
        message = _Message(event, delivery, self._quarantine)
        await self._check_tenant(event.subject)
        scope = self._store.tenant(event.subject)
        try:
            self._look_at_each(message, event, scope)
            await self._commit(message, scope)
        except OutOfRange:
            raise Rejected("usage_counter_full", "A counter would leave 64 bits.") from None
        except DocumentTooLarge:
            raise Rejected("too_large", "Too much to set aside event by event.") from None
        if message.set_aside:
            reasons = sorted({write.body["reason"] for write in message.set_aside.values()})
            _log.warning(
                "%d of %d events set aside: %s", len(message.set_aside), len(message.raws), ", ".join(reasons)
            )

    def _look_at_each(self, message: _Message, event: CloudEvent, scope: Scope) -> None:
        for part, raw in enumerate(message.raws):
            try:
                use = self._use(raw, event.source)
            except Refused as refused:
                message.refuse(part, refused)
            else:
                message.count(records.event_key(scope, event.subject, use.source, use.id), use, part)

    def _use(self, raw: msgspec.Raw, envelope_source: str) -> Use:
        try:
            event = _decoder.decode(raw)
        except msgspec.ValidationError as wrong:
            raise Refused("usage_bad_shape", str(wrong)) from None
        return metering.accept(
            event.source or envelope_source,
            event.id,
            event.meter,
            event.quantity,
            event.time,
            meters=self._meters,
            now=self._clock(),
        )

    async def _commit(self, message: _Message, scope: Scope) -> None:
        """Retries until nothing conflicts. Each retry removes at least one conflict, so this ends."""
        for _ in range(2 * MAX_EVENTS):
            writes = self._writes(message, scope)
            if not writes:
                return
            try:
                await self._store.commit(*writes)
            except AlreadyExists:
                await self._settle(message)
            else:
                return
        raise Unavailable(
            "contention", "The same events are being recorded by others at this moment. Try again."
        )

    def _writes(self, message: _Message, scope: Scope) -> list[Write]:
        received_at = stamp(self._clock())
        shard = random.randrange(metering.SHARDS)  # noqa: S311 - spreads load
        return [
            *(Create(key, records.event_body(use, received_at)) for key, use in message.uses.items()),
            *records.counter_adds(scope, message.uses.values(), shard),
            *message.set_aside.values(),
        ]

    async def _settle(self, message: _Message) -> None:
        for doc in await self._store.read(*message.uses, *message.set_aside):
            if doc is not None:
                use = message.uses.get(doc.key)
                message.drop(doc.key, is_same=use is not None and records.is_same_event(doc.body, use))


def _raws(event: CloudEvent) -> list[msgspec.Raw]:
    if len(event.data) > MAX_DATA_BYTES:
        raise Rejected("too_large", f"The events have more than {MAX_DATA_BYTES} bytes.")
    raws = data_of(event, UsageBatch).events
    if not 1 <= len(raws) <= MAX_EVENTS:
        raise Rejected("invalid_data", f"Not 1 to {MAX_EVENTS} events.")
    return raws


def _conflict() -> Refused:
    return Refused("usage_conflict", "An event of this source and id with other content was counted before.")
