"""What is read of Stripe's answers: the fields that are used, in strict types."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import msgspec

from functions.billing.domain.payments import StripeInvoice
from shared.errors import Unavailable

T = TypeVar("T")


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    metadata: dict[str, str] | None = None

    def said(self, name: str) -> str:
        """What we had Stripe keep with it under this name; empty for nothing."""
        return (self.metadata or {}).get(name, "")


class Transitions(msgspec.Struct, frozen=True):
    """Seconds since 1970."""

    paid_at: int | None = None


class Invoice(_Object, frozen=True):
    """`customer` is an id: it is never asked for expanded."""

    customer: str
    status: Literal["draft", "open", "paid", "uncollectible", "void"]
    currency: str
    total: int
    amount_due: int
    amount_paid: int
    pre_payment_credit_notes_amount: int
    status_transitions: Transitions
    hosted_invoice_url: str | None = None


class Item(_Object, frozen=True):
    """An invoice item."""


class InvoiceSettings(msgspec.Struct, frozen=True):
    """A customer's defaults for invoices."""

    default_payment_method: str | None = None


class Customer(_Object, frozen=True):
    """A customer, or what is left of a deleted one."""

    deleted: bool = False
    default_source: str | None = None
    invoice_settings: InvoiceSettings = InvoiceSettings()


def read(found: Any, kind: type[T]) -> T:
    """An object of the `stripe` package as `kind`. Raises `Unavailable` for an answer that is none."""
    try:
        return msgspec.convert(found.to_dict(), kind)
    except (AttributeError, msgspec.ValidationError):
        raise Unavailable("stripe_unreadable", "Stripe answered something else. Send it again.") from None


def by_line(items: Iterable[Any]) -> dict[int, str]:
    """The ids of invoice items by the number of the line that they were made for; others are left out."""
    known = {item.said("line"): item.id for item in (read(each, Item) for each in items)}
    return {int(line): item_id for line, item_id in known.items() if line.isascii() and line.isdigit()}


def seen(invoice: Invoice) -> StripeInvoice:
    """The invoice as collection knows it. An address that no browser should follow is left out."""
    paid_at = invoice.status_transitions.paid_at
    url = invoice.hosted_invoice_url
    return StripeInvoice(
        id=invoice.id,
        customer_id=invoice.customer,
        status=invoice.status,
        currency=invoice.currency,
        total=invoice.total,
        amount_due=invoice.amount_due,
        amount_paid=invoice.amount_paid,
        credited=invoice.pre_payment_credit_notes_amount,
        hosted_invoice_url=url if url and url.startswith(("https://", "http://")) else None,
        paid_at=datetime.fromtimestamp(paid_at, UTC) if paid_at is not None else None,
    )
