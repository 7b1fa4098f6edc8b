"""Closing a month: one invoice, with the fee, the usage, and what came late for the months before."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from functions.billing.domain.invoices import UsageShrank, invoice_id
from functions.billing.domain.periods import Period
from shared.store import Create
from tests.unit.billing.faulty_store import Crash, FaultyStore
from tests.unit.billing.world import ACME, World, used

pytestmark = pytest.mark.anyio

JANUARY = datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 10, tzinfo=UTC)
APRIL_2 = datetime(2026, 4, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


async def test_a_month_is_billed_with_its_fee_and_each_meter(march: World) -> None:
    await march.use(used("a", "100.5"), used("b", 7, meter="workflow_runs"), used("c", "0.25"))
    march.now.at = APRIL_2
    await march.close("2026-03")
    assert await march.lines() == [
        ("fee", "2026-03", None, 1_000_000, 9_900),
        ("usage", "2026-03", "agent_minutes", 100_750_000, 202),
        ("usage", "2026-03", "workflow_runs", 7_000_000, 35),
    ]
    invoice = (await march.invoices())[-1]
    assert (invoice.subtotal_minor, invoice.total_minor, invoice.currency) == (10_137, 10_137, "USD")
    assert (invoice.number, invoice.id) == ("ACME-202603", invoice_id(ACME, Period("2026-03")))
    assert (invoice.status, invoice.finalized_at) == ("finalized", APRIL_2)
    assert invoice.readings[Period("2026-03")].meters["agent_minutes"].quantity_micro == 100_750_000


async def test_an_invoice_is_announced_once_to_each_topic(march: World) -> None:
    march.now.at = APRIL_2
    for _ in range(3):
        await march.close("2026-03")
    sent = [event for event in await march.sent() if event["data"]["period"] == "2026-03"]
    assert sorted(event["topic"] for event in sent) == ["billing-events", "tenant-events"]
    assert {event["type"] for event in sent} == {"ai.energent.invoice.finalized.v1"}
    assert sent[0]["subject"] == ACME
    assert sent[0]["data"]["total_minor"] == 9_900


async def test_a_second_close_of_a_month_changes_nothing(march: World) -> None:
    """B10"""
    await march.use(used("a", 50))
    march.now.at = APRIL_2
    await march.close("2026-03")
    before, subscription = await march.invoices(), await march.subscription()
    await march.use(used("late", 50))
    march.now.at += DAY
    for period in ("2026-03", "2026-02", "2026-01", "2025-06"):
        await march.close(period)
    assert (await march.invoices(), await march.subscription()) == (before, subscription)
    assert await march.quarantined() == []


async def test_two_instances_that_close_at_once_make_one_invoice(march: World) -> None:
    """B10"""
    await march.use(used("a", 50))
    march.now.at = APRIL_2
    await asyncio.gather(*(World(march.store, now=march.now).close("2026-03") for _ in range(8)))
    assert [invoice.period for invoice in await march.invoices()] == ["2026-02", "2026-03"]
    assert len(await march.sent()) == 4
    assert await march.quarantined() == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_step_of_a_close_and_a_redelivery_make_one_invoice(
    world: World, after: bool
) -> None:
    """B10, P18"""
    await world.use(used("a", 50, at=JANUARY), used("b", 7, at=FEBRUARY), used("c", 9))
    world.now.at = APRIL_2
    crashes = 0
    for step in range(1, 100):
        tenant_id = f"tnt_{after}_{step}"
        faulty = FaultyStore(world.store)
        dying, next_one = World(faulty, tenant_id, world.now), World(world.store, tenant_id, world.now)
        await next_one.add_tenant(id=tenant_id)
        await next_one.use(used("a", 50, at=JANUARY), used("b", 7, at=FEBRUARY), used("c", 9))
        faulty.dies_at, faulty.dies_after = step, after
        try:
            await dying.close("2026-03")
        except Crash:
            crashes += 1
        await next_one.close("2026-03")
        invoice = await next_one.invoice()
        assert (len(invoice.lines), invoice.total_minor) == (6, 3 * 9_900 + 100 + 14 + 18)
        announced = [event for event in await next_one.sent() if event["subject"] == tenant_id]
        assert len(announced) == 2
        if step > faulty.steps:
            break
    assert crashes == faulty.steps >= 3


async def test_where_nothing_is_due_there_is_no_invoice_and_the_month_is_closed_all_the_same(
    world: World,
) -> None:
    """B13"""
    await world.change_tenant(contract_start=date(2026, 4, 1))
    for _ in range(2):
        await world.close("2026-02")
    assert await world.invoices() == []
    subscription = await world.subscription()
    assert subscription is not None
    assert subscription.last_closed == "2026-02"
    assert await world.sent() == []


async def test_a_tenant_without_usage_gets_its_fee(march: World) -> None:
    """B13"""
    march.now.at = APRIL_2
    await march.close("2026-03")
    assert await march.lines() == [("fee", "2026-03", None, 1_000_000, 9_900)]


@pytest.mark.parametrize(
    ("period", "reason"),
    [
        ("2026-03", "period_open"),
        ("2099-01", "period_open"),
        ("2026-3", "invalid_data"),
        ("", "invalid_data"),
    ],
)
async def test_a_month_that_is_not_over_or_is_none_is_refused(world: World, period: str, reason: str) -> None:
    """B7: the last instant of a month is not after it."""
    world.now.at = datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)
    await world.close(period)
    assert await world.reasons() == [reason]
    assert await world.invoices() == []


async def test_a_month_can_be_closed_the_instant_it_is_over(world: World) -> None:
    world.now.at = datetime(2026, 4, 1, tzinfo=UTC)
    await world.close("2026-03")
    assert (await world.invoice()).period == "2026-03"


@pytest.mark.parametrize(
    ("subject", "reason"),
    [("tnt_nobody", "unknown_tenant"), ("", "unknown_tenant"), ("platform", "tenant_not_billed")],
)
async def test_only_a_tenant_that_pays_is_closed(world: World, subject: str, reason: str) -> None:
    """P16"""
    await world.add_tenant(id="platform")
    await world.deliver("billing.close.requested", {"period": "2026-02"}, subject=subject)
    assert await world.reasons() == [reason]


@pytest.mark.parametrize("status", ["provisioning", "failed"])
async def test_a_tenant_that_was_never_activated_is_not_billed_yet(world: World, status: str) -> None:
    await world.change_tenant(status=status)
    await world.close("2026-02")
    assert await world.reasons() == ["tenant_not_billed"]
    assert await world.subscription() is None


async def test_a_suspended_tenant_is_billed(world: World) -> None:
    """B12"""
    await world.use(used("a", 50, at=FEBRUARY))
    await world.change_tenant(status="suspended")
    await world.close("2026-02")
    assert (await world.invoice()).total_minor == 2 * 9_900 + 100


async def test_a_sum_beyond_64_bits_is_refused_and_not_wrapped(world: World) -> None:
    """B3"""
    scope = world.store.tenant(ACME)
    full = {"meter": "agent_minutes", "day": "2026-02-15", "s0": 2**62, "n0": 1}
    await world.store.commit(
        *(Create(scope.key("usage", f"agent_minutes.2026-02-15.{shard}"), full) for shard in range(8))
    )
    await world.close("2026-02")
    assert await world.reasons() == ["usage_out_of_bounds"]
    assert await world.invoices() == []


async def test_a_counter_below_what_was_billed_stops_the_close_loudly(march: World) -> None:
    """B15: no line is ever negative, and nothing is mended in silence."""
    await march.use(used("a", 50))
    march.now.at = APRIL_2
    await march.close("2026-03")
    shards = [("usage", f"agent_minutes.2026-03-15.{shard}") for shard in range(8)]
    (doc,) = [doc for shard in shards if (doc := await march.store.tenant(ACME).get(*shard))]
    body = {**doc.body, "s44": 1}
    assert doc.body["s44"] == 50_000_000
    await march.rewrite(doc, body)
    march.now.at += timedelta(days=31)
    with pytest.raises(UsageShrank):
        await march.close("2026-04")
    assert len(await march.invoices()) == 2
