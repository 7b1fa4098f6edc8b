"""The rules of payments: whatever is observed in whatever order, the end is the same."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from functions.billing.domain import payments
from functions.billing.domain.invoices import Invoice, Party
from functions.billing.domain.payments import Mismatch, Payment, StripeInvoice
from functions.billing.domain.periods import Period

AT = datetime(2026, 4, 2, 1, tzinfo=UTC)
PAID_AT = datetime(2026, 4, 3, tzinfo=UTC)
LATER = AT + timedelta(days=9)

DRAFT = StripeInvoice("in_1", "cus_1", "draft", "usd", 9_900, 9_900, 0, 0, None, None)
URL = "https://invoice.stripe.example/in_1"


def at_stripe(**changes: Any) -> StripeInvoice:
    return msgspec.structs.replace(DRAFT, hosted_invoice_url=URL, **changes)


OPEN = at_stripe(status="open")
PAID = at_stripe(status="paid", amount_paid=9_900, paid_at=PAID_AT)
VOID = at_stripe(status="void")
UNCOLLECTIBLE = at_stripe(status="uncollectible")


def invoice(total_minor: int = 9_900, currency: str = "USD") -> Invoice:
    return Invoice(
        id="inv-1",
        number="ACME-202603",
        period=Period("2026-03"),
        currency=currency,
        party=Party("tnt_acme", "acme", "Acme Inc.", "standard"),
        lines=[],
        readings={},
        subtotal_minor=total_minor,
        total_minor=total_minor,
        catalogue="test",
        is_example=False,
        finalized_at=AT,
    )


def begun(**changes: Any) -> Payment:
    known = {"stripe_customer_id": "cus_1", "stripe_invoice_id": "in_1", **changes}
    return msgspec.structs.replace(payments.begin(invoice()), **known)


def test_what_is_due_is_pending_and_what_is_not_is_paid() -> None:
    assert (payments.begin(invoice()).status, payments.begin(invoice(0)).status) == ("pending", "paid")
    assert payments.begin(invoice(0)).paid_at == AT
    assert not payments.is_unfinished(payments.begin(invoice(0)))


Observed = tuple[StripeInvoice, bool]
LIFE: list[Observed] = [
    (DRAFT, False), (OPEN, False), (OPEN, True), (UNCOLLECTIBLE, False), (OPEN, False), (PAID, False),
]  # fmt: skip


def test_all_orders_of_a_life_end_alike() -> None:
    """B32: payment_failed after paid, open after past due, all 720 of them, each with something doubled."""
    ends = set()
    for order in itertools.permutations(LIFE):
        payment = begun()
        for seen, has_failed in (*order, order[0]):
            before = payment
            payment = payments.observe(payment, seen, LATER, has_failed=has_failed)
            assert before.status != "paid" or payment.status == "paid", "paid is final"
        ends.add(msgspec.json.encode(payment))
    assert len(ends) == 1
    end = msgspec.json.decode(ends.pop(), type=Payment)
    assert (end.status, end.paid_at, end.collect_after, end.hosted_invoice_url) == (
        "paid",
        PAID_AT,
        None,
        URL,
    )


@pytest.mark.parametrize(
    ("seen", "has_failed", "status"),
    [
        (DRAFT, False, "pending"),
        (OPEN, False, "open"),
        (OPEN, True, "past_due"),
        (UNCOLLECTIBLE, False, "past_due"),
        (PAID, False, "paid"),
        (PAID, True, "paid"),
        (VOID, False, "voided"),
        (VOID, True, "voided"),
    ],
)
def test_what_stripe_says_of_a_new_one(seen: StripeInvoice, has_failed: bool, status: str) -> None:
    payment = payments.observe(begun(), seen, LATER, has_failed=has_failed)
    assert payment.status == status
    assert payments.is_unfinished(payment) == (status in ("pending", "open"))


@pytest.mark.parametrize("final", [PAID, VOID])
@pytest.mark.parametrize("seen", [DRAFT, OPEN, PAID, VOID, UNCOLLECTIBLE])
def test_what_is_final_stays(final: StripeInvoice, seen: StripeInvoice) -> None:
    settled = payments.observe(begun(), final, LATER)
    assert payments.observe(settled, seen, LATER, has_failed=True) == settled
    assert payments.block(settled, "stripe_refused") == settled


def test_a_payment_without_a_time_is_paid_when_it_is_seen() -> None:
    assert payments.observe(begun(), at_stripe(status="paid", amount_paid=9_900), LATER).paid_at == LATER


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"total": 9_901}, "stripe_total_mismatch"),
        ({"total": 0}, "stripe_total_mismatch"),
        ({"currency": "eur"}, "stripe_currency_mismatch"),
        ({"customer_id": "cus_2"}, "stripe_customer_mismatch"),
    ],
)
@pytest.mark.parametrize("status", ["open", "paid", "uncollectible"])
def test_another_invoice_is_not_taken_for_ours(changes: dict[str, Any], reason: str, status: str) -> None:
    with pytest.raises(Mismatch) as refused:
        payments.observe(begun(), at_stripe(status=status, **changes), LATER)
    assert refused.value.reason == reason
    with pytest.raises(Mismatch):
        payments.check(begun(), msgspec.structs.replace(DRAFT, **changes))


@pytest.mark.parametrize(
    ("status", "due", "paid", "credited", "reason"),
    [
        ("draft", 9_901, 0, 0, "stripe_amount_due_mismatch"),
        ("open", 14_900, 0, 0, "stripe_amount_due_mismatch"),
        ("open", 0, 0, 0, "stripe_amount_due_mismatch"),
        ("open", 7_900, 0, 2_000, "stripe_amount_due_mismatch"),
        ("paid", 14_900, 14_900, 0, "stripe_amount_paid_mismatch"),
        ("paid", 0, 0, 0, "stripe_amount_paid_mismatch"),
        ("paid", 9_900, 9_899, 0, "stripe_amount_paid_mismatch"),
        ("paid", 7_900, 7_900, 1_999, "stripe_amount_paid_mismatch"),
        ("paid", 7_900, 7_900, 2_000, ""),
        ("paid", 0, 0, 9_900, ""),
        ("uncollectible", 7_900, 0, 2_000, ""),
    ],
)
def test_what_is_asked_for_and_what_was_paid_are_our_total(
    status: str, due: int, paid: int, credited: int, reason: str
) -> None:
    seen = at_stripe(status=status, amount_due=due, amount_paid=paid, credited=credited)
    if not reason:
        payments.check(begun(), seen)
        return
    with pytest.raises(Mismatch, match="et the balance of customer cus_1 at Stripe to 0") as refused:
        payments.check(begun(), seen)
    assert refused.value.reason == reason
    if status != "draft":
        with pytest.raises(Mismatch):
            payments.observe(begun(), seen, LATER)


def test_blocked_is_unfinished_until_it_is_settled() -> None:
    blocked = payments.block(begun(), "stripe_refused")
    assert (blocked.collect_after, payments.is_unfinished(blocked)) == (None, True)
    assert payments.observe(blocked, PAID, LATER).blocked == ""
    assert not payments.is_unfinished(payments.finish(blocked))


def test_each_operation_has_a_key_of_its_own_that_never_changes() -> None:
    names = ["invoice", "item:0", "item:1", "item:10", "finalize", "pay"]
    keys = [payments.operation_key(begun(), name) for name in names]
    assert len(set(keys)) == len(keys)
    assert keys == [payments.operation_key(payments.observe(begun(), OPEN, LATER), name) for name in names]
    assert all(len(key) <= 255 for key in keys)


@pytest.mark.parametrize(
    ("currency", "amount"),
    [("USD", 1_250), ("JPY", 1_250), ("KWD", 1_250), ("ISK", 125_000), ("UGX", 125_000)],
)
def test_amounts_are_in_stripes_units(currency: str, amount: int) -> None:
    """B4"""
    assert payments.stripe_amount(1_250, currency) == amount


def test_customers_see_no_inner_state() -> None:
    assert payments.shown(None) == payments.shown(begun()) == "finalized"
    assert payments.shown(payments.block(begun(), "stripe_refused")) == "finalized"
    assert payments.shown(payments.observe(begun(), OPEN, LATER)) == "open"
