"""Invoices: a month's fee and usage, and late usage of earlier months."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from functions.billing.domain import money, periods, subscriptions
from functions.billing.domain.catalogue import Catalogue
from functions.billing.domain.periods import Period
from functions.billing.domain.quantities import MICRO
from functions.billing.domain.subscriptions import Billed, Reading, Subscription

MAX_STORED = 2**63 - 1

Usage = Mapping[Period, Mapping[str, int]]
"""Sums of the counters in micro-units, by period and meter."""


class TooLarge(Exception):
    """A sum does not fit the 64 bits of a stored integer: refused, never wrapped."""


class UsageShrank(Exception):
    """A counter is below what was billed of it. Counters only grow, so somebody changed the data."""


class Party(msgspec.Struct, frozen=True):
    """Who is billed, as it was when the invoice was made."""

    id: str
    slug: str
    name: str
    tier: str


class Line(msgspec.Struct, frozen=True):
    """`late_usage`: usage of a `period` that an earlier invoice had closed.

    `amount_minor` is price(now) - price(billed), each rounded once: it can differ from quantity times unit
    price by one minor unit, so that all lines of a period and meter add up to the price of their sum.
    """

    kind: Literal["fee", "usage", "late_usage"]
    description: str
    period: Period
    meter: str | None
    quantity_micro: int
    unit_price_nano: int
    amount_minor: int


class Invoice(msgspec.Struct, frozen=True):
    """Immutable once stored. `readings` is all that has been billed so far of each period on it."""

    id: str
    number: str
    period: Period
    currency: str
    party: Party
    lines: list[Line]
    readings: dict[Period, Billed]
    subtotal_minor: int
    total_minor: int
    catalogue: str
    is_example: bool
    """The prices are examples; then the page says so."""
    finalized_at: datetime
    status: Literal["finalized"] = "finalized"


def invoice_id(tenant_id: str, period: Period) -> str:
    """The same for the same tenant and period, so that a second invoice cannot be stored."""
    digest = hashlib.sha256(f"{len(tenant_id)}:{tenant_id}{len(period)}:{period}".encode()).digest()
    return f"inv-{base64.b32encode(digest).decode()[:26].lower()}"


def close(
    subscription: Subscription,
    period: Period,
    usage: Usage,
    catalogue: Catalogue,
    *,
    party: Party,
    at: datetime,
) -> tuple[Invoice | None, Subscription]:
    """The invoice that closes an open `period` and all before it (None if there is nothing to bill), and
    the updated subscription. Raises `TooLarge`, `UsageShrank`.
    """
    lines: list[Line] = []
    readings: dict[Period, Billed] = {}
    for month in _newest_first(subscription, period):
        found = list(_lines(subscription, month, usage.get(month, {}), catalogue))
        if found:
            lines += found
            readings[month] = _billed(subscription.billed.get(month, Billed()), found)
    closed = msgspec.structs.replace(
        subscription,
        billed={**subscription.billed, **readings},
        last_closed=period,
        closed_at=at,
    )
    if not lines:
        return None, closed
    total = _bounded(sum(line.amount_minor for line in lines))
    invoice = Invoice(
        id=invoice_id(party.id, period),
        number=f"{party.slug.upper()}-{period.replace('-', '')}",
        period=period,
        currency=subscription.currency,
        party=party,
        lines=lines,
        readings=readings,
        subtotal_minor=total,
        total_minor=total,
        catalogue=catalogue.name,
        is_example=catalogue.is_example,
        finalized_at=at,
    )
    return invoice, closed


def _newest_first(subscription: Subscription, period: Period) -> list[Period]:
    return list(periods.span(subscriptions.open_since(subscription), period))[::-1]


def _lines(
    subscription: Subscription, period: Period, usage: Mapping[str, int], catalogue: Catalogue
) -> Iterator[Line]:
    if subscriptions.owes_fee(subscription, period):
        yield _fee_line(subscription, period, catalogue)
    is_late = subscription.last_closed is not None and period <= subscription.last_closed
    billed = subscription.billed.get(period, Billed()).meters
    for name in sorted(usage.keys() | billed.keys()):
        meter = catalogue.meters[name]
        before = billed.get(name, Reading(0, 0))
        counted_micro = _bounded(usage.get(name, 0))
        quantity_micro = counted_micro - before.quantity_micro
        if quantity_micro < 0:
            raise UsageShrank(f"{name} of {period}")
        if quantity_micro == 0:
            continue
        price = money.price_minor(counted_micro, meter.unit_price_nano, subscription.currency)
        yield Line(
            kind="late_usage" if is_late else "usage",
            description=f"{meter.label}, reported late" if is_late else meter.label,
            period=period,
            meter=name,
            quantity_micro=quantity_micro,
            unit_price_nano=meter.unit_price_nano,
            amount_minor=_bounded(price) - before.amount_minor,
        )


def _fee_line(subscription: Subscription, period: Period, catalogue: Catalogue) -> Line:
    fee_minor = catalogue.fees_minor[subscription.tier]
    return Line(
        kind="fee",
        description=f"Monthly fee, {subscription.tier}",
        period=period,
        meter=None,
        quantity_micro=MICRO,
        unit_price_nano=money.fee_price_nano(fee_minor, subscription.currency),
        amount_minor=fee_minor,
    )


def _billed(before: Billed, lines: list[Line]) -> Billed:
    """`before` and what these lines of the same period add to it."""
    meters = dict(before.meters)
    fee_minor = before.fee_minor
    for line in lines:
        if line.meter is None:
            fee_minor += line.amount_minor
            continue
        old = meters.get(line.meter, Reading(0, 0))
        meters[line.meter] = Reading(
            old.quantity_micro + line.quantity_micro, old.amount_minor + line.amount_minor
        )
    return Billed(fee_minor, meters)


def _bounded(value: int) -> int:
    if value > MAX_STORED:
        raise TooLarge("a sum beyond 64 bits")
    return value
