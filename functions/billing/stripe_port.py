"""What collection asks of Stripe, and the answers that mean something to it."""

from typing import Protocol

from functions.billing.domain.invoices import Invoice
from functions.billing.domain.payments import Customer, StripeInvoice


class Declined(Exception):
    """The customer's bank said no (402)."""


class Refused(Exception):
    """Stripe will never do it, so it is not asked again. `reason` is stable, `detail` quotes no message."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Stripe(Protocol):
    """Every method raises `Refused`, and `Unavailable` where it may succeed later. A `key` makes sure that a
    call takes effect once, for a day; what is older is found by `find_` and `items`.
    """

    async def is_live(self) -> bool:
        """Whether money moves."""

    async def find_customer(self, customer: Customer) -> str | None:
        """The id of the customer that was made for the tenant, if it was."""

    async def create_customer(self, customer: Customer, key: str) -> str:
        """The id of the new one."""

    async def can_charge(self, customer_id: str) -> bool:
        """Whether the customer left a means of payment that is charged by default."""

    async def find_invoice(self, customer_id: str, invoice: Invoice) -> StripeInvoice | None:
        """The one that was made for our invoice, if it was."""

    async def create_invoice(self, customer_id: str, invoice: Invoice, key: str) -> StripeInvoice:
        """A draft without items that does nothing by itself."""

    async def items(self, stripe_invoice_id: str) -> dict[int, str]:
        """The ids of the items that stand on the draft already, by the number of their line."""

    async def create_item(
        self, customer_id: str, stripe_invoice_id: str, invoice: Invoice, line: int, key: str
    ) -> str:
        """Adds one line to the draft; the id of the item."""

    async def invoice(self, stripe_invoice_id: str) -> StripeInvoice:
        """As it stands now."""

    async def finalize(self, stripe_invoice_id: str, key: str) -> StripeInvoice:
        """Makes a draft final, so that it can be paid."""

    async def pay(self, stripe_invoice_id: str, key: str) -> StripeInvoice:
        """Charges the customer. Raises `Declined`."""
