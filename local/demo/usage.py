"""The demo's usage events, and the sums and prices that billing must come to; shares no code with billing."""

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import msgspec

SOURCE = "//demo/agents"

PRICES_USD = {
    "agent_minutes": Decimal("0.02"),
    "workflow_runs": Decimal("0.05"),
    "model_tokens_k": Decimal("0.0015"),
}
"""What the example catalogue asks for one unit, written down a second time."""

FEES_USD = {"standard": Decimal("99.00"), "basic": Decimal("29.00")}


class Event(msgspec.Struct, frozen=True):
    """One usage event as a publisher sends it."""

    id: str
    time: datetime
    meter: str
    quantity: str


def month_before(day: date) -> date:
    """The first day of the month before the one that `day` is in."""
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def month_after(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)


def period(first: date) -> str:
    return f"{first:%Y-%m}"


def make(dice: random.Random, prefix: str, count: int, first: date) -> list[Event]:
    """`count` different events at random moments of the month that begins on `first`."""
    start = datetime(first.year, first.month, 1, tzinfo=UTC)
    seconds = int((month_after(first) - first).total_seconds())
    return [
        Event(
            id=f"{prefix}-{number:05d}",
            time=start + timedelta(seconds=dice.randrange(seconds)),
            meter=dice.choice(sorted(PRICES_USD)),
            quantity=str(Decimal(dice.randrange(1, 50_000_000)) / 1_000_000),
        )
        for number in range(count)
    ]


def broken(first: date) -> list[dict[str, object]]:
    """Events that can never be billed, each wrong in another way."""
    time = f"{period(first)}-15T12:00:00Z"
    good: dict[str, object] = {"time": time, "meter": "agent_minutes", "quantity": 1}
    wrong: list[dict[str, object]] = [
        {"quantity": -5},
        {"quantity": 0},
        {"quantity": 1.5},
        {"quantity": "NaN"},
        {"quantity": "1e3"},
        {"quantity": "0.0000001"},
        {"quantity": True},
        {"quantity": None},
        {"meter": "coffee"},
        {"meter": 7},
        {"time": "yesterday"},
        {"time": f"{period(first)}-15T12:00:00"},
        {"time": "2001-01-01T00:00:00Z"},
        {"time": "2999-01-01T00:00:00Z"},
        {"surprise": 1},
    ]
    return [{"id": f"broken-{number:02d}", **good, **change} for number, change in enumerate(wrong)]


def messages(dice: random.Random, events: Sequence[Event], duplicates: int) -> list[list[Event]]:
    """The events and so many of them again, shuffled, in messages of 1 to 40."""
    deliveries = [*events, *dice.sample(events, duplicates)]
    dice.shuffle(deliveries)
    cut: list[list[Event]] = []
    while deliveries:
        size = dice.choice((1, 1, 2, 5, 10, 20, 40))
        cut.append(deliveries[:size])
        deliveries = deliveries[size:]
    return cut


def sums(events: Iterable[Event]) -> dict[str, Decimal]:
    """Quantity by meter; every event counts once."""
    total: dict[str, Decimal] = {}
    for event in {event.id: event for event in events}.values():
        total[event.meter] = total.get(event.meter, Decimal(0)) + Decimal(event.quantity)
    return total


def cents(amount_usd: Decimal) -> int:
    """Half away from zero."""
    return int((amount_usd * 100).quantize(Decimal(1), ROUND_HALF_UP))


def priced(quantities: dict[str, Decimal]) -> dict[str, int]:
    """Cents by meter."""
    return {meter: cents(quantity * PRICES_USD[meter]) for meter, quantity in quantities.items()}
