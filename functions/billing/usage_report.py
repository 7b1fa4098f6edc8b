"""Usage reports: the sums of a tenant's counters by meter and UTC day."""

from collections.abc import Collection
from datetime import date, timedelta

import msgspec

from functions.billing import records
from functions.billing.domain import periods, quantities
from functions.billing.records import Sum
from shared.errors import invalid
from shared.ids import Clock
from shared.store import Store

MAX_DAYS = 92


class UsageDay(msgspec.Struct, frozen=True):
    day: str
    meter: str
    quantity: str
    events: int


class UsageTotal(msgspec.Struct, frozen=True):
    meter: str
    quantity: str
    events: int


class UsageReport(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """Usage from day `since` (inclusive) to day `until` (exclusive)."""

    since: date
    until: date
    days: list[UsageDay]
    totals: list[UsageTotal]


class UsageReports:
    def __init__(self, store: Store, clock: Clock, meters: Collection[str]) -> None:
        self._store = store
        self._clock = clock
        self._meters = meters

    async def make(
        self, tenant_id: str, *, since: str | None, until: str | None, meter: str | None
    ) -> UsageReport:
        """The default is this month up to today. Raises `Invalid`, which names the query parameter."""
        today = self._clock().date()
        first = _day("?from", since) or today.replace(day=1)
        end = _day("?to", until) or today + timedelta(days=1)
        if not timedelta(0) < end - first <= timedelta(days=MAX_DAYS):
            raise invalid("?to", "bad_range", f"`to` is 1 to {MAX_DAYS} days after `from`.")
        if meter is not None and meter not in self._meters:
            detail = f"Give one of these: {', '.join(sorted(self._meters))}."
            raise invalid("?meter", "unknown_meter", detail)
        sums = await records.usage_by_day(self._store, tenant_id, first, end, meter)
        totals: dict[str, Sum] = {}
        for counter, found in sums.items():
            before = totals.get(counter.meter, Sum(0, 0))
            totals[counter.meter] = Sum(
                before.quantity_micro + found.quantity_micro, before.events + found.events
            )
        days = sorted(sums.items(), key=lambda item: (item[0].day, item[0].meter))
        return UsageReport(
            first,
            end,
            [
                UsageDay(counter.day, counter.meter, quantities.text(found.quantity_micro), found.events)
                for counter, found in days
            ],
            [
                UsageTotal(name, quantities.text(found.quantity_micro), found.events)
                for name, found in sorted(totals.items())
            ],
        )


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return periods.parse_day(text)
    except ValueError:
        raise invalid(name, "bad_day", "A day is written YYYY-MM-DD.") from None
