"""Records refused API keys and clients in aggregate, so that refusals cannot be used to cause many writes."""

import logging
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from functions.auth.guessing.buckets import Buckets, Rate
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import prefix
from shared import audit
from shared.audit import Actor
from shared.errors import Unavailable
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Store

Kind = Literal["api_key", "client", "service_account"]

RECORDS = Rate(burst=20, seconds=60, keys=10_000)
"""Records for one key or client about single places, however many places it is refused from."""
WINDOW = timedelta(minutes=10)
"""Refusals are counted together for this long; then the count starts again."""
MANY = 10
"""From this many refusals of one key or client on, records come with an event."""
_MAX_COUNTED = 10_000

_log = logging.getLogger(__name__)


class Refused(msgspec.Struct, frozen=True):
    """Which key or client of a tenant was refused, and why, in one word for the audit log."""

    kind: Kind
    tenant_id: str
    id: str
    why: str


class _Count(msgspec.Struct):
    since: datetime
    refusals: int = 0


class RefusedCredentials:
    """Counts in one instance. The number of records is at most this times the number of instances."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._records = Buckets(RECORDS, clock)
        self._counts: OrderedDict[str, _Count] = OrderedDict()

    async def note(self, refused: Refused, source: Source) -> None:
        """Counts a refusal. Call it only for a key or client that exists.

        The 1st, 10th, 100th … refusal of a key or client within `WINDOW` is recorded with the number so far;
        likewise, as far as `RECORDS` allows, the 1st, 10th, 100th … from one place. An outage is only logged.
        """
        place, whose = prefix(source.ip), f"{refused.tenant_id}/{refused.id}"
        refusals, from_place = self._counted(whose), self._counted(f"{whose} {place}")
        is_round = _is_power_of_ten(refusals)
        if not is_round and (not _is_power_of_ten(from_place) or self._records.take(whose)):
            return
        told = {"about": refused.kind, "id": refused.id, "failures": refusals}
        is_event = is_round and refusals >= MANY
        events = (
            self._outbox.entries("security.sign_in_failures", refused.tenant_id, told) if is_event else ()
        )
        detail = {
            "why": refused.why,
            "refusals": str(refusals),
            "place": place,
            "refusals_from_place": str(from_place),
        }
        recorded = audit.record(
            self._store,
            refused.tenant_id,
            actor=Actor("anonymous", source.ip, refused.tenant_id, source.request_id, source.ip),
            action=f"{refused.kind}.refuse",
            target=refused.id,
            at=self._clock(),
            detail=detail,
            result="refused",
        )
        try:
            await self._store.commit(recorded, *events)
        except Unavailable as outage:
            _log.warning("refusals of %s %s are not recorded: %s", refused.kind, refused.id, outage)

    def _counted(self, key: str) -> int:
        now = self._clock()
        count = self._counts.get(key)
        if count is None or now >= count.since + WINDOW:
            count = self._counts[key] = _Count(now)
        self._counts.move_to_end(key)
        if len(self._counts) > _MAX_COUNTED:
            self._counts.popitem(last=False)
        count.refusals += 1
        return count.refusals


def _is_power_of_ten(count: int) -> bool:
    return str(count).strip("0") == "1"
