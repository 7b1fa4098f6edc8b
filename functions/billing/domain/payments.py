"""The payment of a finalized invoice: its steps of collection, and its status."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from functions.billing.domain.invoices import Invoice
from functions.billing.domain.periods import Period

Status = Literal["pending", "open", "past_due", "paid", "voided"]
"""`pending`: nobody is asked to pay yet. Later ones win over earlier ones; `paid` and `voided` are final."""
Shown = Literal["finalized", "open", "past_due", "paid", "voided"]

_RANK: dict[Status, int] = {"pending": 0, "open": 1, "past_due": 2, "paid": 3, "voided": 3}

PATIENCE = timedelta(minutes=15)
"""After this time without progress, the scheduler requests the collection again."""
ASK_AGAIN = timedelta(hours=1)

_STRIPE_UNITS = {"ISK": 100, "UGX": 100}
"""Currencies without minor units that Stripe takes in hundredths all the same."""


class Mismatch(Exception):
    """Stripe's invoice is not the one that was meant. `reason` is stable; `detail` quotes nothing but figures
    and Stripe's ids.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Payment(msgspec.Struct, frozen=True):
    """How far the collection of one invoice is. What Stripe named is kept as soon as it is known.

    `collect_after`: when the schedule looks after it if it is not done by then; None once it is done or
    `blocked`, which says why only a person can go on. `idempotency_key` begins the key of each of its calls.
    """

    invoice_id: str
    period: Period
    currency: str
    total_minor: int
    finalized_at: datetime
    idempotency_key: str
    status: Status
    collect_after: datetime | None
    blocked: str = ""
    stripe_customer_id: str = ""
    stripe_invoice_id: str = ""
    stripe_item_ids: list[str] = []
    hosted_invoice_url: str | None = None
    paid_at: datetime | None = None


class Customer(msgspec.Struct, frozen=True):
    """A tenant as Stripe's customer: what Stripe is told of it, kept before it is told, so that telling it
    again says the same. `stripe_id` is empty until it is known.
    """

    tenant_id: str
    name: str
    email: str
    created_at: datetime
    stripe_id: str = ""


class StripeInvoice(msgspec.Struct, frozen=True):
    """An invoice as Stripe has it. Amounts are in Stripe's units of `currency`, which is in lower case.

    `amount_due` is what the customer is asked for: the total and the customer's balance, less `credited`,
    which credit notes took off before it was paid. `amount_paid` includes what was paid outside of Stripe.
    """

    id: str
    customer_id: str
    status: Literal["draft", "open", "paid", "uncollectible", "void"]
    currency: str
    total: int
    amount_due: int
    amount_paid: int
    credited: int
    hosted_invoice_url: str | None
    paid_at: datetime | None


def begin(invoice: Invoice) -> Payment:
    """The payment to create in the same commit as its invoice. If nothing is due, it is paid at once."""
    is_due = invoice.total_minor != 0
    return Payment(
        invoice_id=invoice.id,
        period=invoice.period,
        currency=invoice.currency,
        total_minor=invoice.total_minor,
        finalized_at=invoice.finalized_at,
        idempotency_key=invoice.id,
        status="pending" if is_due else "paid",
        collect_after=invoice.finalized_at + PATIENCE if is_due else None,
        paid_at=None if is_due else invoice.finalized_at,
    )


def shown(payment: Payment | None) -> Shown:
    """The status of an invoice as customers see it."""
    return "finalized" if payment is None or payment.status == "pending" else payment.status


def is_unfinished(payment: Payment) -> bool:
    """Whether there is something left to collect, also if the payment is blocked."""
    return payment.status in ("pending", "open") and (
        payment.collect_after is not None or payment.blocked != ""
    )


def operation_key(payment: Payment, operation: str) -> str:
    """Stripe's idempotency key of one call: the same whenever it is made again, and for no other call."""
    return f"{payment.idempotency_key}:{operation}"


def stripe_amount(amount_minor: int, currency: str) -> int:
    """An amount in the units in which Stripe takes this currency."""
    return amount_minor * _STRIPE_UNITS.get(currency, 1)


def check(payment: Payment, found: StripeInvoice) -> None:
    """Raises `Mismatch` if customer, currency, total, amount due or amount paid is not what ours says. Such
    an invoice is neither finalized nor charged nor marked as paid.
    """
    if found.customer_id != payment.stripe_customer_id:
        raise Mismatch("stripe_customer_mismatch", "Stripe's invoice is another customer's.")
    if found.currency != payment.currency.lower():
        raise Mismatch("stripe_currency_mismatch", f"Stripe's invoice is in {found.currency}.")
    expected = stripe_amount(payment.total_minor, payment.currency)
    if found.total != expected:
        raise Mismatch(
            "stripe_total_mismatch", f"Stripe's invoice comes to {found.total} instead of {expected}."
        )
    _check_amounts(found, expected)


def _check_amounts(found: StripeInvoice, expected: int) -> None:
    """A credit note settles a part of what is paid, but nothing is charged beside one."""
    balance = f"the balance of customer {found.customer_id} at Stripe to 0"
    if found.status in ("draft", "open") and found.amount_due != expected:
        todo = f"Set {balance} and send this message again."
        if found.status == "open":
            todo = f"That stays so: void {found.id} at Stripe or have it paid there, and set {balance}."
        raise Mismatch(
            "stripe_amount_due_mismatch", f"Stripe asks for {found.amount_due} instead of {expected}. {todo}"
        )
    if found.status == "paid" and found.amount_paid + found.credited != expected:
        raise Mismatch(
            "stripe_amount_paid_mismatch",
            f"Stripe calls invoice {found.id} paid with {found.amount_paid}, and {found.credited} of credit"
            f" notes, instead of {expected}. Settle the difference at Stripe and set {balance}.",
        )


def observe(payment: Payment, found: StripeInvoice, at: datetime, *, has_failed: bool = False) -> Payment:
    """The payment updated by the state of Stripe's invoice. `has_failed`: an attempt to pay it has failed. A
    status never goes back, so the order of observations does not matter. Raises `Mismatch`.
    """
    status = _status(found, has_failed=has_failed)
    if _RANK[status] <= _RANK[payment.status]:
        status = payment.status
    elif status != "voided":
        check(payment, found)
    known = msgspec.structs.replace(
        payment,
        status=status,
        hosted_invoice_url=found.hosted_invoice_url or payment.hosted_invoice_url,
        paid_at=payment.paid_at or found.paid_at or at if status == "paid" else None,
    )
    return known if status in ("pending", "open") else finish(known)


def postpone(payment: Payment, at: datetime) -> Payment:
    """The payment after the scheduler has requested its collection, with a later `collect_after`."""
    return msgspec.structs.replace(payment, collect_after=at + ASK_AGAIN)


def finish(payment: Payment) -> Payment:
    """The payment with its collection complete: only Stripe's webhooks change it from now on."""
    return msgspec.structs.replace(payment, collect_after=None, blocked="")


def block(payment: Payment, reason: str) -> Payment:
    """The payment blocked until an operator replays its message. A settled payment is not blocked."""
    if not is_unfinished(payment):
        return payment
    return msgspec.structs.replace(payment, collect_after=None, blocked=reason)


def _status(found: StripeInvoice, *, has_failed: bool) -> Status:
    if found.status == "open":
        return "past_due" if has_failed else "open"
    by_status: dict[str, Status] = {
        "draft": "pending",
        "uncollectible": "past_due",
        "paid": "paid",
        "void": "voided",
    }
    return by_status[found.status]
