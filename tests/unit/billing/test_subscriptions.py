"""Subscriptions begin with activation; the schedule asks for the closes that are due."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.unit.billing.world import ACME, NOON, World

pytestmark = pytest.mark.anyio

GRACE_OVER = datetime(2026, 4, 2, tzinfo=UTC)


async def test_activation_begins_a_subscription(world: World) -> None:
    await world.deliver("tenant.activated", {})
    subscription = await world.subscription()
    assert subscription is not None
    assert (subscription.tier, subscription.currency) == ("standard", "USD")
    assert subscription.contract_start == date(2026, 1, 1)
    assert (subscription.billed, subscription.last_closed) == ({}, None)


@pytest.mark.parametrize("name", ["tenant.suspended", "tenant.resumed"])
async def test_events_out_of_order_begin_it_as_well(world: World, name: str) -> None:
    """P13: the tenant's document decides, not the event."""
    await world.change_tenant(status="suspended" if name == "tenant.suspended" else "active")
    await world.deliver(name, {})
    before = await world.subscription()
    assert before is not None
    await world.deliver("tenant.activated", {})
    assert await world.subscription() == before


async def test_events_that_come_twice_at_once_or_after_a_close_change_nothing(world: World) -> None:
    """P11"""
    await asyncio.gather(*(World(world.store).deliver("tenant.activated", {}) for _ in range(8)))
    await world.close("2026-02")
    closed = await world.subscription()
    await world.deliver("tenant.activated", {})
    assert await world.subscription() == closed
    assert await world.quarantined() == []


async def test_a_tenant_that_is_still_provisioned_has_none(world: World) -> None:
    await world.change_tenant(status="provisioning")
    await world.deliver("tenant.activated", {})
    await world.deliver("tenant.created", {})
    assert await world.subscription() is None


@pytest.mark.parametrize("subject", ["tnt_nobody", ""])
async def test_an_unknown_tenant_is_quarantined(world: World, subject: str) -> None:
    """P16"""
    await world.deliver("tenant.activated", {}, subject=subject)
    assert await world.reasons() == ["unknown_tenant"]


@pytest.mark.parametrize("name", ["invoice.paid", "invoice.past_due", "invoice.voided"])
async def test_its_own_announcements_pass_by(world: World, name: str) -> None:
    await world.deliver(name, {})
    assert await world.quarantined() == []


async def requested(world: World) -> list[tuple[str, str]]:
    """Tenant and period of each close that was asked for."""
    return sorted(
        (event["subject"], event["data"]["period"])
        for event in await world.sent()
        if event["type"] == "ai.energent.billing.close.requested.v1"
    )


async def test_the_tick_asks_for_each_tenant_that_lacks_last_month(world: World) -> None:
    await world.close("2026-02")
    for tenant_id, status in (
        ("tnt_new", "active"),
        ("tnt_suspended", "suspended"),
        ("tnt_waiting", "provisioning"),
        ("tnt_failed", "failed"),
        ("platform", "active"),
    ):
        await world.add_tenant(id=tenant_id, status=status)
    world.now.at = GRACE_OVER
    await world.deliver("billing.tick", {})
    assert await requested(world) == [(name, "2026-03") for name in (ACME, "tnt_new", "tnt_suspended")]


async def test_the_tick_waits_for_24_hours_after_the_month_s_end(world: World) -> None:
    await world.close("2026-02")
    world.now.at = GRACE_OVER - timedelta(microseconds=1)
    await world.deliver("billing.tick", {})
    assert await requested(world) == []
    world.now.at = GRACE_OVER
    await world.deliver("billing.tick", {})
    assert await requested(world) == [(ACME, "2026-03")]


async def test_the_tick_asks_for_nothing_once_all_is_closed(world: World) -> None:
    world.now.at = GRACE_OVER
    await world.close("2026-03")
    await world.deliver("billing.tick", {})
    assert await requested(world) == []


async def test_what_the_tick_asked_for_twice_is_closed_once(world: World) -> None:
    """B10"""
    world.now.at = GRACE_OVER
    for _ in range(2):
        await world.deliver("billing.tick", {})
    requests = await requested(world)
    assert requests == [(ACME, "2026-03")] * 2
    for _, period in requests:
        await world.close(period)
    assert len(await world.invoices()) == 1


async def test_the_tick_reaches_every_tenant_past_the_first_page(world: World) -> None:
    await asyncio.gather(*(world.add_tenant(id=f"tnt_{number}") for number in range(450)))
    await world.deliver("billing.tick", {})
    assert len(await requested(world)) == 451


async def test_a_tenant_that_is_newer_than_the_month_is_asked_for_once_only(world: World) -> None:
    young = World(world.store, "tnt_young", world.now)
    await young.add_tenant(id="tnt_young", created_at=NOON, contract_start=NOON.date())
    await young.close("2026-02")
    assert await young.invoices() == []
    await world.deliver("billing.tick", {})
    assert await requested(world) == [(ACME, "2026-02")]
