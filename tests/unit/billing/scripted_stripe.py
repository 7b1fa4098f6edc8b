"""Stripe in memory behind the port: state, idempotency keys that can be forgotten, and calls that can die."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from functions.billing.domain import payments
from functions.billing.domain.invoices import Invoice
from functions.billing.domain.payments import Customer, StripeInvoice
from functions.billing.stripe_port import Declined, Refused, Stripe
from shared.ids import new_id
from tests.unit.billing.faulty_store import Crash

PAID_AT = datetime(2026, 4, 2, 1, 2, 3, tzinfo=UTC)


class ScriptedStripe(Stripe):
    """`dies_at`: the call at which the process that calls dies, before it has effect or after it.

    `card`: what charging the customers' default card gives, None where they have none. `extra`: what somebody
    adds to drafts. `raises`: what a call raises instead of doing anything, by its name.
    """

    def __init__(self) -> None:
        self.live = False
        self.card: str | None = "good"
        self.extra = 0
        self.raises: dict[str, Exception] = {}
        self.customers: dict[str, Customer] = {}
        self.invoices: dict[str, StripeInvoice] = {}
        self.named: dict[str, str] = {}
        self.lines: dict[str, dict[int, int]] = {}
        self.charges: list[str] = []
        self.declines: list[str] = []
        self.calls: list[str] = []
        self.dies_at: int | None = None
        self.dies_after = False
        self._answers: dict[str, tuple[Any, Any]] = {}

    def forget_keys(self) -> None:
        """More than a day has passed."""
        self._answers.clear()

    async def is_live(self) -> bool:
        return self.live

    async def find_customer(self, customer: Customer) -> str | None:
        self._before("find_customer")
        found = [name for name, known in self.customers.items() if known.tenant_id == customer.tenant_id]
        self._after()
        return found[0] if found else None

    async def create_customer(self, customer: Customer, key: str) -> str:
        def make() -> str:
            name = new_id("cus")
            self.customers[name] = customer
            return name

        made: str = self._once("create_customer", key, customer, make)
        return made

    async def can_charge(self, customer_id: str) -> bool:
        self._before("can_charge")
        self._after()
        return self.card is not None

    async def find_invoice(self, customer_id: str, invoice: Invoice) -> StripeInvoice | None:
        self._before("find_invoice")
        found = [self.invoices[name] for name, ours in self.named.items() if ours == invoice.id]
        self._after()
        return found[0] if found else None

    async def create_invoice(self, customer_id: str, invoice: Invoice, key: str) -> StripeInvoice:
        def make() -> StripeInvoice:
            name = f"in_{len(self.invoices) + 1}"
            currency = invoice.currency.lower()
            draft = StripeInvoice(name, customer_id, "draft", currency, 0, 0, 0, 0, None, None)
            self.invoices[name], self.named[name], self.lines[name] = draft, invoice.id, {}
            return draft

        made: StripeInvoice = self._once("create_invoice", key, (customer_id, invoice), make)
        return made

    async def items(self, stripe_invoice_id: str) -> dict[int, str]:
        self._before("items")
        found = {line: f"ii_{line}" for line in self.lines[stripe_invoice_id]}
        self._after()
        return found

    async def create_item(
        self, customer_id: str, stripe_invoice_id: str, invoice: Invoice, line: int, key: str
    ) -> str:
        def make() -> str:
            assert line not in self.lines[stripe_invoice_id], "a second item for the same line"
            amount = payments.stripe_amount(invoice.lines[line].amount_minor, invoice.currency)
            self.lines[stripe_invoice_id][line] = amount
            total = sum(self.lines[stripe_invoice_id].values()) + self.extra
            self._change(stripe_invoice_id, total=total, amount_due=total)
            return f"ii_{line}"

        made: str = self._once("create_item", key, (customer_id, stripe_invoice_id, invoice, line), make)
        return made

    async def invoice(self, stripe_invoice_id: str) -> StripeInvoice:
        self._before("invoice")
        found = self.invoices[stripe_invoice_id]
        self._after()
        return found

    async def finalize(self, stripe_invoice_id: str, key: str) -> StripeInvoice:
        def make() -> StripeInvoice:
            if self.invoices[stripe_invoice_id].status != "draft":
                raise Refused("stripe_refused", "finalize invoice: it is no draft")
            url = f"https://invoice.stripe.example/{stripe_invoice_id}"
            return self._change(stripe_invoice_id, status="open", hosted_invoice_url=url)

        made: StripeInvoice = self._once("finalize", key, stripe_invoice_id, make)
        return made

    async def pay(self, stripe_invoice_id: str, key: str) -> StripeInvoice:
        def make() -> StripeInvoice:
            if self.invoices[stripe_invoice_id].status != "open":
                raise Refused("stripe_refused", "pay invoice: it is not open")
            if self.card == "declined":
                self.declines.append(stripe_invoice_id)
                raise Declined("pay invoice: card_declined")
            if self.card == "slow":
                return self.invoices[stripe_invoice_id]
            return self.settle(stripe_invoice_id)

        made: StripeInvoice = self._once("pay", key, stripe_invoice_id, make)
        return made

    def settle(self, stripe_invoice_id: str) -> StripeInvoice:
        """The customer's money arrives."""
        owed = self.invoices[stripe_invoice_id]
        assert owed.status == "open", "paid twice"
        self.charges.append(stripe_invoice_id)
        return self._change(stripe_invoice_id, status="paid", amount_paid=owed.amount_due, paid_at=PAID_AT)

    def change(self, stripe_invoice_id: str, **changes: Any) -> None:
        """Somebody does something by hand at Stripe."""
        self._change(stripe_invoice_id, **changes)

    def _change(self, name: str, **changes: Any) -> StripeInvoice:
        changed = msgspec.structs.replace(self.invoices[name], **changes)
        self.invoices[name] = changed
        return changed

    def _once(self, call: str, key: str, told: Any, make: Any) -> Any:
        self._before(call)
        if key not in self._answers:
            try:
                self._answers[key] = told, make()
            except Declined as declined:
                self._answers[key] = told, declined
        said, answer = self._answers[key]
        if said != told:
            raise Refused("stripe_key_reused", f"{call}: another request had its idempotency key")
        self._after()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _before(self, call: str) -> None:
        self.calls.append(call)
        if call in self.raises:
            raise self.raises[call]
        self._die(after=False)

    def _after(self) -> None:
        self._die(after=True)

    def _die(self, *, after: bool) -> None:
        if len(self.calls) == self.dies_at and self.dies_after == after:
            raise Crash
