"""Amounts that change at Stripe after an invoice is open: nothing is charged, and paid means all of it."""

import logging

import pytest

from shared.errors import Unavailable
from tests.unit.billing.collecting import Endpoint, at_stripe, closed, collect
from tests.unit.billing.scripted_stripe import ScriptedStripe
from tests.unit.billing.world import World

pytestmark = pytest.mark.anyio


async def test_an_open_invoice_that_asks_for_something_else_is_not_charged(world: World) -> None:
    """An operator credits a part of it between its finalization and the charge, and has the rest paid."""
    stripe = ScriptedStripe()
    acme = at_stripe(world.store, stripe, now=world.now)
    invoice_id = await closed(acme)
    stripe.raises["can_charge"] = Unavailable("stripe_unavailable", "Stripe did not answer.")
    with pytest.raises(Unavailable):
        await collect(acme, invoice_id)
    stripe.raises.clear()
    stripe.change("in_1", amount_due=27_936, credited=2_000)
    await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.blocked) == ("open", "stripe_amount_due_mismatch")
    assert (stripe.charges, await acme.reasons()) == ([], ["stripe_amount_due_mismatch"])

    stripe.settle("in_1")
    await collect(acme, invoice_id)
    payment = await acme.payment(invoice_id)
    assert (payment.status, payment.blocked) == ("paid", "")


@pytest.mark.parametrize(("paid", "credited"), [(44_936, 0), (0, 0), (29_935, 0), (27_936, 1_999)])
async def test_what_is_paid_with_another_amount_is_not_called_paid(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, paid: int, credited: int
) -> None:
    caplog.set_level(logging.ERROR)
    endpoint.stripe.change("in_1", status="paid", amount_paid=paid, credited=credited)
    await endpoint.tell()
    await endpoint.work()
    assert await endpoint.status() == "open"
    assert await endpoint.world.reasons() == ["stripe_amount_paid_mismatch"] * 2
    assert await endpoint.world.announced("invoice.paid") == []
    assert "set aside: stripe_amount_paid_mismatch" in caplog.text
