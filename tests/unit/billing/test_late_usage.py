"""Late usage and late closes: every event and every fee is on exactly one invoice."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.unit.billing.world import NOON, World, billed, used

pytestmark = pytest.mark.anyio

JANUARY = datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 10, tzinfo=UTC)
APRIL_2 = datetime(2026, 4, 2, 1, tzinfo=UTC)


async def test_usage_that_comes_late_is_on_the_next_invoice_and_names_its_month(march: World) -> None:
    """P13, B8"""
    await march.use(used("a", "0.3", at=FEBRUARY), used("b", "0.2", at=JANUARY), used("c", "0.4"))
    march.now.at = APRIL_2
    await march.close("2026-03")
    assert await march.lines() == [
        ("fee", "2026-03", None, 1_000_000, 9_900),
        ("usage", "2026-03", "agent_minutes", 400_000, 1),
        ("late_usage", "2026-02", "agent_minutes", 300_000, 1),
        ("late_usage", "2026-01", "agent_minutes", 200_000, 0),
    ]


async def test_late_usage_costs_the_price_of_the_new_sum_less_what_was_billed(march: World) -> None:
    """Three times 0.3 minutes at 2 cents: 0.6 + 0.6 + 0.6 cents come to 2, not to 3."""
    march.now.at = datetime(2026, 4, 1, tzinfo=UTC)
    for number, period in enumerate(("2026-03", "2026-04", "2026-05")):
        await march.use(used(f"event {number}", "0.3", at=NOON))
        march.now.at += timedelta(days=31)
        await march.close(period)
    cents = [
        line.amount_minor
        for invoice in await march.invoices()
        for line in invoice.lines
        if line.meter and line.period == "2026-03"
    ]
    assert cents == [1, 0, 1]


async def test_the_oldest_usage_that_can_be_accepted_after_a_close_is_still_billed(world: World) -> None:
    """92 days before 3 May is 31 January; by then April is closed, and the next close is in June."""
    world.now.at = datetime(2026, 5, 2, 12, tzinfo=UTC)
    await world.close("2026-04")
    world.now.at = JANUARY + timedelta(days=92)
    await world.use(used("oldest", 50, at=JANUARY))
    assert await world.events_counted() == 1
    world.now.at = datetime(2026, 6, 2, tzinfo=UTC)
    await world.close("2026-05")
    assert ("late_usage", "2026-01", "agent_minutes", 50_000_000, 100) in await world.lines()


async def test_an_event_between_two_closes_is_on_exactly_one_invoice(march: World) -> None:
    """B11: closes and deliveries run at the same time."""
    march.now.at = APRIL_2
    other = World(march.store, now=march.now)
    await asyncio.gather(
        *(other.use(used(f"event {number}", 1)) for number in range(30)),
        *(march.close("2026-03") for _ in range(3)),
        *(other.use(used(f"event {number}", 1)) for number in range(15, 45)),
    )
    march.now.at += timedelta(days=31)
    await march.close("2026-04")
    assert billed(await march.invoices()) == {("agent_minutes", "2026-03"): 45_000_000}


async def test_months_that_nobody_closed_are_on_the_next_invoice_with_their_own_fee(world: World) -> None:
    """However many there are."""
    await world.use(used("a", 50, at=JANUARY), used("b", 50, at=FEBRUARY))
    world.now.at = datetime(2026, 9, 1, tzinfo=UTC)
    await world.close("2026-08")
    assert [line.period for line in (await world.invoice()).lines if line.kind == "fee"] == [
        f"2026-{month:02d}" for month in range(8, 0, -1)
    ]
    assert ("usage", "2026-01", "agent_minutes", 50_000_000, 100) in await world.lines()
    assert (await world.invoice()).total_minor == 8 * 9_900 + 200


async def test_a_close_that_came_months_late_leaves_no_month_unbilled(world: World) -> None:
    """January is closed in September: February to August are still owed."""
    world.now.at = datetime(2026, 9, 1, tzinfo=UTC)
    await world.close("2026-01")
    await world.close("2026-08")
    assert [line.period for line in (await world.invoices())[-1].lines] == [
        f"2026-{month:02d}" for month in range(8, 1, -1)
    ]


async def test_a_month_before_anything_could_be_owed_is_left_alone(world: World) -> None:
    await world.close("2001-01")
    assert (await world.subscription(), await world.invoices(), await world.quarantined()) == (None, [], [])


async def test_there_is_no_fee_before_the_contract_and_a_full_one_from_its_first_month(world: World) -> None:
    await world.change_tenant(contract_start=date(2026, 2, 28))
    await world.use(used("early", 50, at=JANUARY))
    await world.close("2026-02")
    assert await world.lines() == [
        ("fee", "2026-02", None, 1_000_000, 9_900),
        ("usage", "2026-01", "agent_minutes", 50_000_000, 100),
    ]
