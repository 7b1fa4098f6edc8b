"""Through the whole suite: an invoice is asked for at Stripe, paid there, and marked paid here, once."""

import time
from collections.abc import Iterator

import pytest

from tests import customers
from tests.customers import Customer
from tests.stripe_of_suite import StripeOfSuite, last_months
from tests.suite import Suite

FIRST, SECOND, THIRD = last_months(3)


@pytest.fixture(scope="module")
def stripe(suite: Suite) -> Iterator[StripeOfSuite]:
    with StripeOfSuite(suite) as found:
        yield found


@pytest.fixture(scope="module")
def customer(suite: Suite) -> Customer:
    return customers.take_on(suite, contract_start=FIRST)


def test_an_invoice_is_open_then_past_due_then_paid_on_stripes_page(
    stripe: StripeOfSuite, customer: Customer
) -> None:
    stripe.close(customer, FIRST)
    invoice = stripe.wait(customer, FIRST, "open")
    assert invoice["paid_at"] is None
    page = invoice["hosted_invoice_url"]
    assert stripe.client.post(page, data={"card": "chargeDeclinedInsufficientFunds"}).status_code == 402
    stripe.wait(customer, FIRST, "past_due")
    assert stripe.client.post(page, data={"card": "visa"}).status_code == 303
    assert stripe.wait(customer, FIRST, "paid")["paid_at"] is not None


def test_a_card_on_file_is_charged_once_however_often_messages_and_webhooks_come(
    suite: Suite, stripe: StripeOfSuite, customer: Customer
) -> None:
    """B10, B30, B31"""
    customer_id = stripe.customer_id(customer)
    stripe.give_card(customer_id, "pm_card_visa")
    stripe.close(customer, SECOND)
    invoice = stripe.wait(customer, SECOND, "paid")
    for event in stripe.every("events"):
        if event["data"]["object"].get("customer") != customer_id:
            continue
        for _ in range(2):
            answer = stripe.client.post(f"/_control/events/{event['id']}/deliver")
            assert answer.json() == {"status": 200}
    stripe.close(customer, SECOND)
    suite.wait_drained()
    assert stripe.invoice(customer, SECOND) == invoice
    mine = [
        each
        for each in stripe.every("invoices", customer=customer_id)
        if each["metadata"]["invoice_id"] == invoice["id"]
    ]
    assert [each["total"] for each in mine] == [invoice["total_minor"]]
    charges = [charge for charge in stripe.every("charges", customer=customer_id) if charge["paid"]]
    assert len(charges) == 2, "one for each month"


def test_a_declined_card_leaves_it_past_due_until_it_is_paid(
    stripe: StripeOfSuite, customer: Customer
) -> None:
    """B22"""
    stripe.give_card(stripe.customer_id(customer), "pm_card_chargeCustomerFail")
    stripe.close(customer, THIRD)
    invoice = stripe.wait(customer, THIRD, "past_due")
    assert stripe.client.post(invoice["hosted_invoice_url"], data={"card": "visa"}).status_code == 303
    stripe.wait(customer, THIRD, "paid")


def test_a_webhook_that_nobody_signed_changes_nothing(suite: Suite, stripe: StripeOfSuite) -> None:
    """B23, through the gateway."""
    headers = {"stripe-signature": f"t={int(time.time())},v1=" + "0" * 64}
    answer = stripe.client.post(f"{suite.gateway}/v1/webhooks/stripe", json={"id": "evt_1"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "signature_wrong")
