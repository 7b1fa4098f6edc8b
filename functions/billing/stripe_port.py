"""The port to Stripe: the calls that collection makes, and the errors that it handles."""

from typing import Protocol

from functions.billing.domain.invoices import Invoice
from functions.billing.domain.payments import Customer, StripeInvoice


class Declined(Exception):
    """The charge was declined (402)."""


class Refused(Exception):
    """A permanent refusal, which is not retried. `reason` is a stable code, `detail` quotes no message."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Stripe(Protocol):
    """Every method raises `Refused`, and `Unavailable` if it may succeed later. `key` is Stripe's idempotency
    key, which lasts a day; what was created earlier is found by the `find_` methods and `items`.
    """

    async def is_live(self) -> bool:
        """Whether the API key is of live mode, in which money moves."""

    async def find_customer(self, customer: Customer) -> str | None:
        """The id of the customer that was created for the tenant; None if there is none."""

    async def create_customer(self, customer: Customer, key: str) -> str:
        """Returns the new customer's id."""

    async def can_charge(self, customer_id: str) -> bool:
        """Whether the customer has a default payment method."""

    async def find_invoice(self, customer_id: str, invoice: Invoice) -> StripeInvoice | None:
        """The Stripe invoice that was created for our invoice; None if there is none."""

    async def create_invoice(self, customer_id: str, invoice: Invoice, key: str) -> StripeInvoice:
        """Creates a draft without items, which Stripe does not advance by itself."""

    async def items(self, stripe_invoice_id: str) -> dict[int, str]:
        """The ids of the draft's items by line number."""

    async def create_item(
        self, customer_id: str, stripe_invoice_id: str, invoice: Invoice, line: int, key: str
    ) -> str:
        """Adds one line to the draft. Returns the item's id."""

    async def invoice(self, stripe_invoice_id: str) -> StripeInvoice:
        """The invoice in its current state."""

    async def finalize(self, stripe_invoice_id: str, key: str) -> StripeInvoice:
        """Finalizes a draft, so that it can be paid."""

    async def pay(self, stripe_invoice_id: str, key: str) -> StripeInvoice:
        """Charges the customer. Raises `Declined`."""
