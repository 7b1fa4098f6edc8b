"""Collecting: one Stripe invoice and one payment for an invoice, wherever a process dies."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from functions.billing.domain.payments import ASK_AGAIN, PATIENCE
from functions.billing.stripe_port import Refused
from shared.errors import Unavailable
from tests.unit.billing.collecting import APRIL_2, DAY, at_stripe, closed, collect, message
from tests.unit.billing.faulty_store import Crash, FaultyStore
from tests.unit.billing.scripted_stripe import PAID_AT, ScriptedStripe
from tests.unit.billing.world import ACME, Now, World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stripe() -> ScriptedStripe:
    return ScriptedStripe()


@pytest.fixture
async def acme(world: World, stripe: ScriptedStripe) -> World:
    """Acme whose customer has a good card."""
    return at_stripe(world.store, stripe, now=world.now)


async def test_the_commit_that_makes_an_invoice_holds_the_intent_to_collect_it(acme: World) -> None:
    invoice_id = await closed(acme)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.total_minor, payment.currency) == ("pending", 29_936, "USD")
    assert (payment.idempotency_key, payment.collect_after) == (invoice_id, APRIL_2 + PATIENCE)


async def test_an_invoice_is_collected_and_paid_with_the_customers_card(
    acme: World, stripe: ScriptedStripe
) -> None:
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.paid_at, payment.collect_after) == ("paid", PAID_AT, None)
    (found,) = stripe.invoices.values()
    assert (found.total, found.currency, found.status) == (29_936, "usd", "paid")
    assert stripe.charges == [payment.stripe_invoice_id] == ["in_1"]
    assert payment.hosted_invoice_url == "https://invoice.stripe.example/in_1"
    assert await acme.announced("invoice.paid") == ["billing-events", "tenant-events"]
    assert [customer.email for customer in stripe.customers.values()] == ["owner@acme.example"]


async def test_without_a_card_it_stays_open_for_the_customer_to_pay(
    acme: World, stripe: ScriptedStripe
) -> None:
    stripe.card = None
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.collect_after, stripe.charges) == ("open", None, [])
    assert payment.hosted_invoice_url is not None
    calls = len(stripe.calls)
    await collect(acme, invoice_id)
    assert len(stripe.calls) == calls, "it is collected, and nothing is asked again"


async def test_a_declined_card_makes_it_past_due_and_is_not_charged_again(
    acme: World, stripe: ScriptedStripe
) -> None:
    """B22"""
    stripe.card = "declined"
    invoice_id = await closed(acme)
    for _ in range(3):
        await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.collect_after, stripe.declines) == ("past_due", None, ["in_1"])
    assert await acme.announced("invoice.past_due") == ["billing-events", "tenant-events"]
    assert await acme.quarantined() == []


async def test_a_payment_that_takes_days_leaves_it_open(acme: World, stripe: ScriptedStripe) -> None:
    stripe.card = "slow"
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.collect_after) == ("open", None)


async def test_the_next_invoice_is_the_same_customers(acme: World, stripe: ScriptedStripe) -> None:
    for period in ("2026-01", "2026-02"):
        await acme.close(period)
    for invoice in await acme.invoices():
        await collect(acme, invoice.id)
    assert (len(stripe.customers), len(stripe.invoices), stripe.calls.count("find_customer")) == (1, 2, 1)


async def test_an_invoice_of_nothing_is_paid_at_once_without_stripe(
    acme: World, stripe: ScriptedStripe
) -> None:
    free = msgspec.structs.replace(acme.catalogue, fees_minor={"standard": 0})
    world = World(acme.store, now=acme.now, catalogue=free, stripe=stripe)
    await world.close("2026-02")
    invoice = await world.invoice()
    await collect(world, invoice.id)
    payment = await world.payment(invoice.id)
    assert (invoice.total_minor, payment.status, payment.paid_at) == (0, "paid", invoice.finalized_at)
    assert await world.announced("invoice.paid") == ["billing-events", "tenant-events"]
    assert stripe.calls == []


@pytest.mark.parametrize("card", ["good", "declined"])
@pytest.mark.parametrize("are_keys_forgotten", [False, True])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("place", ["store", "stripe"])
async def test_a_process_that_dies_at_any_step_charges_once(
    world: World, place: str, after: bool, are_keys_forgotten: bool, card: str
) -> None:
    """B17, B18, B20: before and after each call to Stripe and to the store, with Stripe's idempotency keys
    still kept or forgotten since."""
    deaths = 0
    for step in range(1, 100):
        tenant_id = f"tnt_{place}_{after}_{are_keys_forgotten}_{card}_{step}"
        stripe, faulty = ScriptedStripe(), FaultyStore(world.store)
        stripe.card = card
        next_one = at_stripe(world.store, stripe, tenant_id, Now(world.now.at))
        await next_one.add_tenant(id=tenant_id)
        invoice_id = await closed(next_one)
        data = await message(next_one, invoice_id)
        dying = at_stripe(faulty if place == "store" else world.store, stripe, tenant_id, next_one.now)
        broken: FaultyStore | ScriptedStripe = faulty if place == "store" else stripe
        broken.dies_at, broken.dies_after = step, after
        try:
            await dying.deliver("invoice.finalized", data)
        except Crash:
            deaths += 1
        stripe.dies_at = None
        steps = faulty.steps if place == "store" else len(stripe.calls)
        if are_keys_forgotten:
            stripe.forget_keys()
            next_one.now.at += 2 * DAY
        for _ in range(2):
            await next_one.deliver("invoice.finalized", data)
        await is_collected_once(next_one, stripe, invoice_id)
        if step > steps:
            break
    assert deaths == steps > 10


async def is_collected_once(world: World, stripe: ScriptedStripe, invoice_id: str) -> None:
    payment = await world.payment(invoice_id)
    assert len(stripe.customers) == 1
    (found,) = stripe.invoices.values()
    assert (found.total, len(stripe.lines[found.id])) == (payment.total_minor, len(payment.stripe_item_ids))
    status = "paid" if stripe.card == "good" else "past_due"
    assert (payment.status, len(stripe.charges)) == (status, 1 if stripe.card == "good" else 0)
    assert await world.announced(f"invoice.{status}") == ["billing-events", "tenant-events"]
    assert (await world.audited()).count(f"payment.{status}") == 1
    assert await world.quarantined() == []


async def test_two_deliveries_at_once_charge_once(world: World, stripe: ScriptedStripe) -> None:
    """P12"""
    instances = [at_stripe(world.store, stripe, now=world.now) for _ in range(4)]
    invoice_id = await closed(instances[0])
    data = await message(world, invoice_id)
    await asyncio.gather(*(instance.deliver("invoice.finalized", data) for instance in instances))
    await is_collected_once(instances[0], stripe, invoice_id)


async def test_a_total_that_is_not_ours_is_never_finalized(acme: World, stripe: ScriptedStripe) -> None:
    stripe.extra = 1
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    assert [found.status for found in stripe.invoices.values()] == ["draft"]
    assert await acme.reasons() == ["stripe_total_mismatch"]
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.blocked) == ("pending", "stripe_total_mismatch")
    assert payment.collect_after is None, "the schedule leaves it alone"


async def test_a_blocked_payment_goes_on_when_its_message_is_sent_again(
    acme: World, stripe: ScriptedStripe
) -> None:
    stripe.extra = 1
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    stripe.change("in_1", total=29_936, amount_due=29_936)
    await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.blocked, len(stripe.charges)) == ("paid", "", 1)


async def test_a_used_key_is_quarantined_and_no_other_key_is_made(
    acme: World, stripe: ScriptedStripe
) -> None:
    """B19"""
    stripe.raises["create_invoice"] = Refused("stripe_key_reused", "Another request had it.")
    invoice_id = await closed(acme)
    for _ in range(2):
        await collect(acme, invoice_id)
    assert await acme.reasons() == ["stripe_key_reused"] * 2
    assert stripe.invoices == {}
    assert (await acme.payment(invoice_id)).blocked == "stripe_key_reused"


@pytest.mark.parametrize("call", ["find_customer", "create_invoice", "create_item", "finalize", "pay"])
async def test_an_outage_of_stripe_lets_the_message_come_again(
    acme: World, stripe: ScriptedStripe, call: str
) -> None:
    """B21, D7"""
    invoice_id = await closed(acme)
    stripe.raises[call] = Unavailable("stripe_unavailable", "Stripe did not answer.")
    for _ in range(3):
        with pytest.raises(Unavailable):
            await collect(acme, invoice_id)
    del stripe.raises[call]
    await collect(acme, invoice_id)
    await is_collected_once(acme, stripe, invoice_id)


async def test_a_slow_stripe_ends_before_the_event_door_does(world: World, stripe: ScriptedStripe) -> None:
    acme = World(world.store, now=world.now, stripe=stripe, budget_seconds=0.05)
    invoice_id = await closed(acme)

    async def never(stripe_invoice_id: str) -> None:
        await asyncio.sleep(60)

    stripe.invoice = never  # type: ignore[assignment, method-assign]
    with pytest.raises(Unavailable, match="stripe_slow"):
        await collect(acme, invoice_id)
    assert len((await acme.payment(invoice_id)).stripe_item_ids) == 5, "what was done is kept"


async def test_example_prices_are_not_collected_in_live_mode(acme: World, stripe: ScriptedStripe) -> None:
    """The page says that nothing is owed."""
    stripe.live = True
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    assert (await acme.reasons(), stripe.calls) == (["example_prices"], [])
    real = msgspec.structs.replace(acme.catalogue, is_example=False)
    live = World(acme.store, now=acme.now, catalogue=real, stripe=stripe)
    live.now.at = APRIL_2 + 30 * DAY
    await live.close("2026-04")
    await collect(live, (await live.invoices())[-1].id)
    assert len(stripe.charges) == 1


async def test_live_and_test_mode_have_customers_of_their_own(acme: World) -> None:
    real = msgspec.structs.replace(acme.catalogue, is_example=False)
    for is_live, period in ((False, "2026-01"), (True, "2026-02")):
        stripe = ScriptedStripe()
        stripe.live = is_live
        world = World(acme.store, now=acme.now, catalogue=real, stripe=stripe)
        await world.close(period)
        await collect(world, (await world.invoices())[-1].id)
        assert (len(stripe.customers), len(stripe.charges)) == (1, 1)


async def test_a_customer_that_is_another_tenants_is_not_taken(acme: World, stripe: ScriptedStripe) -> None:
    """B34: whatever Stripe's metadata say."""
    other = at_stripe(acme.store, stripe, "tnt_other", acme.now)
    await other.add_tenant(id="tnt_other", slug="other")
    await other.close("2026-02")
    await collect(other, (await other.invoices())[-1].id)
    stripe.customers = {
        name: msgspec.structs.replace(customer, tenant_id=ACME) for name, customer in stripe.customers.items()
    }
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    assert await acme.reasons() == ["stripe_customer_taken"]
    assert (await acme.payment(invoice_id)).stripe_invoice_id == ""


async def test_what_is_told_of_a_customer_does_not_change_between_tries(
    acme: World, stripe: ScriptedStripe
) -> None:
    """A name changed meanwhile would make the idempotency key an error."""
    invoice_id = await closed(acme)
    stripe.dies_at, stripe.dies_after = 2, True
    with pytest.raises(Crash):
        await collect(acme, invoice_id)
    assert stripe.calls[-1] == "create_customer"
    stripe.dies_at = None
    await acme.change_tenant(name="Acme Ltd.", owner_email="new@acme.example")
    await collect(acme, invoice_id)
    await is_collected_once(acme, stripe, invoice_id)


async def test_without_settings_nothing_is_collected_and_the_schedule_finds_it_later(
    world: World, stripe: ScriptedStripe
) -> None:
    invoice_id = await closed(world)
    await collect(world, invoice_id)
    world.now.at += 40 * DAY
    await world.collection.tick()
    assert (await world.payment(invoice_id)).status == "pending"
    assert len(await world.announced("invoice.finalized")) == 2
    configured = at_stripe(world.store, stripe, now=world.now)
    await configured.collection.tick()
    assert await world.announced("invoice.finalized") == ["billing-events"] * 2 + ["tenant-events"]
    await collect(configured, invoice_id)
    await is_collected_once(configured, stripe, invoice_id)


async def test_the_schedule_asks_again_after_a_while_and_not_too_often(acme: World) -> None:
    invoice_id = await closed(acme)
    for waited, times in (
        (PATIENCE, 1),
        (timedelta(seconds=1), 2),
        (ASK_AGAIN, 2),
        (timedelta(seconds=1), 3),
    ):
        acme.now.at += waited
        await asyncio.gather(acme.collection.tick(), acme.collection.tick())
        assert (await acme.announced("invoice.finalized")).count("billing-events") == times
    await collect(acme, invoice_id)
    acme.now.at += 30 * DAY
    await acme.collection.tick()
    assert (await acme.announced("invoice.finalized")).count("billing-events") == 3


async def test_the_schedule_looks_after_every_tenant(acme: World, stripe: ScriptedStripe) -> None:
    others = [at_stripe(acme.store, stripe, f"tnt_{number}", acme.now) for number in range(25)]
    for other in others:
        await other.add_tenant(id=other.tenant_id, slug=other.tenant_id)
        await other.close("2026-02")
    acme.now.at += DAY
    await acme.deliver("billing.tick", {})
    for other in others:
        assert (await other.announced("invoice.finalized")).count("billing-events") == 2


async def test_an_unknown_invoice_is_quarantined(acme: World, stripe: ScriptedStripe) -> None:
    invoice_id = await closed(acme)
    data = {**await message(acme, invoice_id), "invoice_id": "inv-nobodys"}
    await acme.deliver("invoice.finalized", data)
    await acme.deliver("invoice.finalized", await message(acme, invoice_id), subject="tnt_other")
    assert (await acme.reasons(), stripe.calls) == (["unknown_invoice"] * 2, [])


async def test_somebody_who_finalizes_or_pays_by_hand_meanwhile_does_no_harm(
    acme: World, stripe: ScriptedStripe
) -> None:
    """What Stripe refuses because it is done already is done."""
    invoice_id = await closed(acme)
    stripe.raises["finalize"] = Unavailable("stripe_unavailable", "Stripe did not answer.")
    with pytest.raises(Unavailable):
        await collect(acme, invoice_id)
    stripe.raises = {"finalize": Refused("stripe_refused", "It is no draft.")}
    real = stripe.invoice

    async def finalized_meanwhile(stripe_invoice_id: str) -> Any:
        before = await real(stripe_invoice_id)
        stripe.change(stripe_invoice_id, status="open")
        return before

    stripe.invoice = finalized_meanwhile  # type: ignore[method-assign]
    await collect(acme, invoice_id)
    await is_collected_once(acme, stripe, invoice_id)


async def test_a_customer_who_pays_on_the_page_at_the_same_moment_pays_once(
    acme: World, stripe: ScriptedStripe
) -> None:
    invoice_id = await closed(acme)
    pay = stripe.pay

    async def paid_meanwhile(stripe_invoice_id: str, key: str) -> Any:
        stripe.settle(stripe_invoice_id)
        return await pay(stripe_invoice_id, key)

    stripe.pay = paid_meanwhile  # type: ignore[method-assign]
    await collect(acme, invoice_id)
    await is_collected_once(acme, stripe, invoice_id)


async def test_a_charge_that_stripe_refuses_blocks_the_payment(acme: World, stripe: ScriptedStripe) -> None:
    stripe.raises["pay"] = Refused("stripe_refused", "It is too little to charge.")
    invoice_id = await closed(acme)
    await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.blocked) == ("open", "stripe_refused")
    assert await acme.reasons() == ["stripe_refused"]


async def test_an_invoice_that_was_voided_by_hand_is_not_collected(
    acme: World, stripe: ScriptedStripe
) -> None:
    invoice_id = await closed(acme)
    stripe.raises["can_charge"] = Unavailable("stripe_unavailable", "Stripe did not answer.")
    with pytest.raises(Unavailable):
        await collect(acme, invoice_id)
    assert (await acme.payment(invoice_id)).status == "open"
    stripe.change("in_1", status="void")
    await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.collect_after, stripe.charges) == ("voided", None, [])
    assert await acme.announced("invoice.voided") == ["billing-events", "tenant-events"]
