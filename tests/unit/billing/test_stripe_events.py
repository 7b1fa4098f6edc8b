"""What becomes of what Stripe tells: it is asked, and whatever the order, the end is the same."""

import itertools
from typing import Any

import pytest

from shared.errors import Unavailable
from tests.stripe_stand_in import secrets
from tests.unit.billing.collecting import Endpoint, closed, collect
from tests.unit.billing.scripted_stripe import PAID_AT, ScriptedStripe
from tests.unit.billing.world import ACME, World

pytestmark = pytest.mark.anyio


async def test_a_paid_invoice_is_marked_paid_once(endpoint: Endpoint) -> None:
    endpoint.stripe.settle("in_1")
    answer = await endpoint.tell()
    assert (answer.status, answer.json()) == (200, {"received": True})
    assert await endpoint.received() == [
        {"event_id": "evt_1", "type": "invoice.paid", "stripe_invoice_id": "in_1"}
    ]
    await endpoint.work()
    payment = await endpoint.world.payment(endpoint.invoice_id)
    assert (payment.status, payment.paid_at) == ("paid", PAID_AT)
    assert await endpoint.world.announced("invoice.paid") == ["billing-events", "tenant-events"]
    assert (await endpoint.world.audited()).count("payment.paid") == 1


async def test_a_failed_payment_makes_it_past_due(endpoint: Endpoint) -> None:
    await endpoint.tell(endpoint.event("invoice.payment_failed"))
    await endpoint.work()
    assert await endpoint.status() == "past_due"
    assert await endpoint.world.announced("invoice.past_due") == ["billing-events", "tenant-events"]


async def test_what_the_event_says_is_not_believed(endpoint: Endpoint) -> None:
    """Signed or not, Stripe is asked."""
    event = endpoint.event()
    event["data"]["object"].update(status="paid", amount_paid=29_936)
    await endpoint.tell(event)
    await endpoint.work()
    assert await endpoint.status() == "open"


async def test_what_is_no_news_is_kept_without_an_event(endpoint: Endpoint) -> None:
    """The address of Stripe's page changes while it is past due."""
    await endpoint.tell(endpoint.event("invoice.payment_failed"))
    await endpoint.work()
    endpoint.stripe.change("in_1", hosted_invoice_url="https://invoice.stripe.example/other")
    await endpoint.world.deliver("stripe.event.received", (await endpoint.received())[0])
    payment = await endpoint.world.payment(endpoint.invoice_id)
    assert payment.hosted_invoice_url == "https://invoice.stripe.example/other"
    assert await endpoint.world.announced("invoice.past_due") == ["billing-events", "tenant-events"]


async def test_two_events_about_the_same_change_have_one_effect(endpoint: Endpoint) -> None:
    """B31"""
    endpoint.stripe.settle("in_1")
    for event_type, event_id in (
        ("invoice.paid", "evt_1"),
        ("invoice.payment_succeeded", "evt_2"),
        ("invoice.paid", "evt_3"),
    ):
        await endpoint.tell(endpoint.event(event_type, event_id))
    await endpoint.work()
    assert await endpoint.world.announced("invoice.paid") == ["billing-events", "tenant-events"]


TYPES = (
    "invoice.created",
    "invoice.finalized",
    "invoice.updated",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.paid",
)


async def test_a_life_told_in_any_order_ends_the_same(endpoint: Endpoint) -> None:
    """B32: all 720 orders of six events, each order with the payment made before one of them is worked on."""
    ends = set()
    events = [(name, f"evt_{name}") for name in TYPES]
    first = await endpoint.world.payments.find(ACME, endpoint.invoice_id)
    assert first is not None
    for number, order in enumerate(itertools.permutations(events)):
        endpoint.stripe.change("in_1", status="open", paid_at=None)
        for place, (name, event_id) in enumerate(order):
            if place == number % 6:
                endpoint.stripe.change("in_1", status="paid", amount_paid=29_936, paid_at=PAID_AT)
            data = {"event_id": event_id, "type": name, "stripe_invoice_id": "in_1"}
            await endpoint.world.deliver("stripe.event.received", data)
        payment = await endpoint.world.payment(endpoint.invoice_id)
        ends.add((payment.status, payment.paid_at))
        (doc,) = await endpoint.world.store.read(first.key)
        assert doc is not None
        await endpoint.world.rewrite(doc, first.replace(first.value).body)
    assert ends == {("paid", PAID_AT)}


async def test_an_invoice_of_another_customer_is_not_taken_for_ours(endpoint: Endpoint) -> None:
    """B34: the event's customer is ours, the invoice at Stripe is not."""
    endpoint.stripe.settle("in_1")
    endpoint.stripe.change("in_1", customer_id="cus_other")
    await endpoint.tell()
    await endpoint.work()
    assert await endpoint.world.reasons() == ["stripe_customer_mismatch"] * 2
    assert await endpoint.status() == "open"


async def test_an_outage_of_stripe_lets_the_event_come_again(endpoint: Endpoint) -> None:
    """D7"""
    endpoint.stripe.settle("in_1")
    await endpoint.tell()
    endpoint.stripe.raises["invoice"] = Unavailable("stripe_unavailable", "Stripe did not answer.")
    with pytest.raises(Unavailable):
        await endpoint.work()
    endpoint.stripe.raises.clear()
    await endpoint.work()
    assert await endpoint.status() == "paid"


async def test_a_webhook_that_is_faster_than_our_own_write_changes_nothing_and_all_ends_right(
    world: World,
) -> None:
    """The draft is made at Stripe, its id not kept yet, and somebody finalizes it there."""
    stripe = ScriptedStripe()
    acme = World(world.store, now=world.now, stripe=stripe, secrets=secrets())
    invoice_id = await closed(acme)
    stripe.raises["items"] = Unavailable("stripe_unavailable", "Stripe did not answer.")
    with pytest.raises(Unavailable):
        await collect(acme, invoice_id)
    kept = await acme.payments.find(ACME, invoice_id)
    assert kept is not None
    (doc,) = await acme.store.read(kept.key)
    assert doc is not None
    await acme.rewrite(doc, {**doc.body, "stripe_invoice_id": "", "stripe_customer_id": ""})
    endpoint = Endpoint(acme, stripe, invoice_id)
    assert (await endpoint.tell(endpoint.event("invoice.finalized"))).status == 200
    await endpoint.work()
    assert (await endpoint.status(), await acme.reasons()) == ("pending", [])
    stripe.raises.clear()
    await collect(acme, invoice_id)
    assert (await endpoint.status(), len(stripe.invoices), len(stripe.charges)) == ("paid", 1, 1)


async def test_a_webhook_between_the_charge_and_our_own_write_of_it_counts_once(world: World) -> None:
    stripe = ScriptedStripe()
    acme = World(world.store, now=world.now, stripe=stripe, secrets=secrets())
    invoice_id = await closed(acme)
    pay = stripe.pay

    async def told_first(stripe_invoice_id: str, key: str) -> Any:
        paid = await pay(stripe_invoice_id, key)
        endpoint = Endpoint(acme, stripe, invoice_id)
        await endpoint.tell()
        await endpoint.work()
        return paid

    stripe.pay = told_first  # type: ignore[method-assign]
    await collect(acme, invoice_id)
    assert (await acme.payment(invoice_id)).status == "paid"
    assert await acme.announced("invoice.paid") == ["billing-events", "tenant-events"]
    assert len(stripe.charges) == 1
