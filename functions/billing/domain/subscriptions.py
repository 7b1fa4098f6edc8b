"""A tenant's subscription: what it pays for, and what has been billed so far."""

from datetime import date, datetime, timedelta

import msgspec

from functions.billing.domain import metering, periods
from functions.billing.domain.periods import Period

LOOK_BACK = metering.MAX_AGE + timedelta(days=1)
"""How old accepted usage can be, and a day for clocks that differ and commits that take their time."""


PLATFORM = "platform"
"""The tenant of the platform's own operators: nobody pays for it."""


class Reading(msgspec.Struct, frozen=True):
    """A meter's sum over one period when it was last billed, and what it came to in all."""

    quantity_micro: int
    amount_minor: int


class Billed(msgspec.Struct, frozen=True):
    """All that has been billed of one period, on however many invoices."""

    fee_minor: int = 0
    meters: dict[str, Reading] = msgspec.field(default_factory=dict)


class Subscription(msgspec.Struct, frozen=True):
    """`known_since`: no usage was taken before. `closed_at`: when the last close read the counters."""

    tier: str
    currency: str
    contract_start: date
    known_since: datetime
    billed: dict[Period, Billed] = msgspec.field(default_factory=dict)
    last_closed: Period | None = None
    closed_at: datetime | None = None


def is_billed(tenant_id: str, status: str) -> bool:
    """A tenant that has been activated is billed, also while it is suspended."""
    return status in ("active", "suspended") and tenant_id != PLATFORM


def open_since(subscription: Subscription) -> Period:
    """The earliest period that a close must look at.

    Whatever was accepted since the last close is no older than `LOOK_BACK` before it, and a month that
    nobody closed is still to be billed. Before the first close the same holds of `known_since`, so a
    contract that began even earlier is billed from there on.
    """
    if subscription.last_closed is None or subscription.closed_at is None:
        return periods.of(subscription.known_since - LOOK_BACK)
    return min(
        periods.of(subscription.closed_at - LOOK_BACK),
        periods.following(subscription.last_closed),
    )


def is_open(subscription: Subscription, period: Period) -> bool:
    """Whether a close of this period has anything to do."""
    if subscription.last_closed is not None and period <= subscription.last_closed:
        return False
    return period >= open_since(subscription)


def owes_fee(subscription: Subscription, period: Period) -> bool:
    """A full fee for each month, billed once, that is not over when the contract begins."""
    if subscription.last_closed is not None and period <= subscription.last_closed:
        return False
    return subscription.contract_start < periods.first_day(periods.following(period))
