"""`kill -9` of billing, again and again, while invoices are being collected: one invoice, one charge each."""

import time
from collections.abc import Iterator

import msgspec
import pytest

from local.stripe.faults import Fault
from tests import customers
from tests.stripe_of_suite import StripeOfSuite, last_months
from tests.suite import Suite, running

KILLS = 8
TENANTS = 4
SECONDS_A_KILL = 7.6
"""The runner gives up on a server that dies five times in 30 seconds."""
MONTHS = last_months(2)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    with running(tmp_path_factory.mktemp("stripe-kill"), "--retry-base-seconds", "0.6") as started:
        yield started


def test_kills_in_the_middle_of_collections_charge_nobody_twice(suite: Suite) -> None:
    """B18, P18"""
    with StripeOfSuite(suite) as stripe:
        kill_while_collecting(suite, stripe)


def kill_while_collecting(suite: Suite, stripe: StripeOfSuite) -> None:
    clients = [customers.take_on(suite, contract_start=MONTHS[0]) for _ in range(TENANTS)]
    for client in clients:
        stripe.prepare_customer(client, "pm_card_visa")
    slow = msgspec.json.encode(Fault(kind="delay", when="after", seconds=0.15, times=None))
    stripe.client.post("/_control/faults", content=slow).raise_for_status()
    for kill in range(KILLS):
        began = time.monotonic()
        if kill % 4 == 0:
            for client in clients:
                stripe.close(client, MONTHS[kill // 4])
        time.sleep(0.4 + 0.15 * kill)
        suite.wait_restarted("billing", suite.kill("billing"))
        time.sleep(max(0.0, SECONDS_A_KILL - (time.monotonic() - began)))
    stripe.client.delete("/_control/faults").raise_for_status()
    for client in clients:
        totals = [stripe.wait(client, month, "paid")["total_minor"] for month in MONTHS]
        customer_id = stripe.customer_id(client)
        charges = stripe.every("charges", customer=customer_id)
        assert sorted(charge["amount"] for charge in charges if charge["paid"]) == sorted(totals)
        assert len(stripe.every("invoices", customer=customer_id)) == len(MONTHS)
