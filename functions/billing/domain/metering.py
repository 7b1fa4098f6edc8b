"""Usage events: which are accepted, and which counter field each one adds to."""

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import msgspec

from functions.billing.domain import quantities

MAX_AHEAD = timedelta(minutes=5)
MAX_AGE = timedelta(days=92)
MAX_NAME_CHARS = 256
SHARDS = 8

_BEYOND_MICROSECONDS = re.compile(r"(?<=\.[0-9]{6})[0-9]+")
_LONG_CHARS = 27
"""Of `2026-10-31T23:59:59.999999Z`: what is no longer has no more than microseconds."""


class Refused(Exception):
    """This usage event can never be accepted. `detail` quotes no values."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Use(msgspec.Struct, frozen=True, gc=False):
    """One accepted use of one meter; `time` is in UTC. (tenant, `source`, `id`) names it for ever."""

    source: str
    id: str
    meter: str
    quantity_micro: int
    time: datetime


class Counter(msgspec.Struct, frozen=True, gc=False):
    """The counters of one meter and UTC day (`YYYY-MM-DD`)."""

    meter: str
    day: str


def accept(
    source: str,
    event_id: str,
    meter: str,
    quantity: int | str,
    time: str,
    *,
    meters: Collection[str],
    now: datetime,
) -> Use:
    """The event as it counts. Raises `Refused`. Our own clock decides what is too old or ahead of time."""
    if not (0 < len(event_id) <= MAX_NAME_CHARS and 0 < len(source) <= MAX_NAME_CHARS):
        raise Refused("usage_bad_name", f"id or source does not have 1 to {MAX_NAME_CHARS} characters.")
    if meter not in meters:
        raise Refused("usage_unknown_meter", "The price list has no such meter.")
    try:
        quantity_micro = quantities.micro(quantity)
    except quantities.BadQuantity as wrong:
        raise Refused("usage_bad_quantity", f"The quantity is {wrong}.") from None
    return Use(source, event_id, meter, quantity_micro, _in_window(_read(time), now))


def counter(use: Use) -> Counter:
    return Counter(use.meter, use.time.date().isoformat())


def quarter(time: datetime) -> int:
    """The quarter-hour of the UTC day, 0 to 95: every time zone's midnight begins one."""
    return time.hour * 4 + time.minute // 15


def _read(time: str) -> datetime:
    try:
        if len(time) > _LONG_CHARS:
            time = _BEYOND_MICROSECONDS.sub("", time)
        return msgspec.convert(time, datetime)
    except msgspec.ValidationError:
        raise Refused("usage_bad_time", "The time is not RFC 3339.") from None


def _in_window(time: datetime, now: datetime) -> datetime:
    if time.tzinfo is None:
        raise Refused("usage_bad_time", "The time has no zone.")
    if time > now + MAX_AHEAD:
        raise Refused("usage_in_future", "The time is more than 5 minutes ahead.")
    if time < now - MAX_AGE:
        raise Refused("usage_too_old", "The time is more than 92 days ago.")
    return time.astimezone(UTC)
