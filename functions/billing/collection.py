"""Collects an invoice through Stripe in steps, each of which is stored before the next one begins."""

import asyncio
import logging

import msgspec

from functions.billing import records
from functions.billing.customers import Customers
from functions.billing.domain import payments
from functions.billing.domain.invoices import Invoice
from functions.billing.domain.payments import Mismatch, StripeInvoice, operation_key
from functions.billing.payments import Payments
from functions.billing.records import FoundPayment
from functions.billing.stripe_port import Declined, Refused, Stripe
from shared.audit import Actor
from shared.errors import Unavailable
from shared.event_door import Rejected
from shared.ids import Clock
from shared.store import Stale, Store, until_not_stale
from shared.store.bodies import stamp
from shared.tenant import Tenant

BUDGET_SECONDS = 20.0
"""Less than the time limit of an event handler. A redelivery of the message continues what is left."""
TENANTS_AT_ONCE = 20

_log = logging.getLogger(__name__)


class Collection:
    """Without `stripe` nothing is collected: payments stay pending until it is configured."""

    def __init__(
        self,
        store: Store,
        kept: Payments,
        customers: Customers,
        stripe: Stripe | None,
        clock: Clock,
        *,
        budget_seconds: float = BUDGET_SECONDS,
    ) -> None:
        self._store = store
        self._payments = kept
        self._customers = customers
        self._stripe = stripe
        self._clock = clock
        self._budget_seconds = budget_seconds

    async def collect(self, tenant_id: str, invoice_id: str, actor: Actor) -> None:
        """Continues the collection of an invoice from its last stored step. Does nothing if it is finished.

        Safe to repeat after a crash: before it creates anything, a step asks Stripe whether that exists.
        Raises `Rejected` for what Stripe refuses for good (the payment is then blocked until an operator
        replays the message), and `Unavailable`.
        """
        if self._stripe is None:
            return
        stripe = self._stripe
        try:
            async with asyncio.timeout(self._budget_seconds):
                await until_not_stale(lambda: self._attempt(stripe, tenant_id, invoice_id, actor))
        except TimeoutError:
            raise Unavailable("stripe_slow", "Stripe did not answer in time. Send it again.") from None
        except (Refused, Mismatch) as never:
            reason = never.reason
            await until_not_stale(lambda: self._block(tenant_id, invoice_id, reason, actor))
            _log.error("the payment of invoice %s is blocked: %s", invoice_id, never)
            raise Rejected(never.reason, never.detail) from None

    async def tick(self) -> None:
        """Requests again each collection that is overdue."""
        if self._stripe is None:
            return
        async for tenants in records.tenant_pages(self._store):
            for first in range(0, len(tenants), TENANTS_AT_ONCE):
                some = tenants[first : first + TENANTS_AT_ONCE]
                await asyncio.gather(*(self._ask_again(tenant) for tenant in some))

    async def _ask_again(self, owner: Tenant) -> None:
        until = stamp(self._clock())
        page = await self._store.tenant(owner.id).query(records.PAYMENTS_DUE, until=until)
        for doc in page.docs:
            try:
                await self._payments.ask_again(
                    FoundPayment(owner.id, doc.key, records.payment_of(doc), doc.version)
                )
            except Stale:
                continue  # another process is working on it

    async def _block(self, tenant_id: str, invoice_id: str, reason: str, actor: Actor) -> None:
        found, _ = await self._found(tenant_id, invoice_id)
        await self._payments.save(found, payments.block(found.value, reason), "payment.block", actor)

    async def _found(self, tenant_id: str, invoice_id: str) -> tuple[FoundPayment, Invoice]:
        found = await self._payments.find(tenant_id, invoice_id)
        doc = await self._store.tenant(tenant_id).get("invoices", invoice_id)
        if found is None or doc is None:
            raise Rejected("unknown_invoice", "There is no such invoice, or no payment of it.")
        return found, records.invoice_of(doc)

    async def _attempt(self, stripe: Stripe, tenant_id: str, invoice_id: str, actor: Actor) -> None:
        found, invoice = await self._found(tenant_id, invoice_id)
        if not payments.is_unfinished(found.value):
            return
        if invoice.is_example and await stripe.is_live():
            raise Refused("example_prices", "The price list is an example: no money moves for it.")
        found = await self._with_invoice(found, invoice, stripe, actor)
        found = await self._with_items(found, invoice, stripe, actor)
        await self._settle(found, stripe, actor)

    async def _with_invoice(
        self, found: FoundPayment, invoice: Invoice, stripe: Stripe, actor: Actor
    ) -> FoundPayment:
        if found.value.stripe_invoice_id:
            return found
        customer_id = await self._customers.id_of(found.tenant_id, stripe, actor)
        draft = await stripe.find_invoice(customer_id, invoice)
        if draft is None:
            draft = await stripe.create_invoice(customer_id, invoice, operation_key(found.value, "invoice"))
        known = msgspec.structs.replace(
            found.value, stripe_customer_id=customer_id, stripe_invoice_id=draft.id
        )
        return await self._payments.save(found, known, "payment.invoice", actor)

    async def _with_items(
        self, found: FoundPayment, invoice: Invoice, stripe: Stripe, actor: Actor
    ) -> FoundPayment:
        done = len(found.value.stripe_item_ids)
        if done == len(invoice.lines):
            return found
        standing = await stripe.items(found.value.stripe_invoice_id)
        for line in range(done, len(invoice.lines)):
            payment = found.value
            item_id = standing.get(line) or await stripe.create_item(
                payment.stripe_customer_id,
                payment.stripe_invoice_id,
                invoice,
                line,
                operation_key(payment, f"item:{line}"),
            )
            known = msgspec.structs.replace(payment, stripe_item_ids=[*payment.stripe_item_ids, item_id])
            found = await self._payments.save(found, known, "payment.item", actor)
        return found

    async def _settle(self, found: FoundPayment, stripe: Stripe, actor: Actor) -> None:
        seen = await stripe.invoice(found.value.stripe_invoice_id)
        if seen.status == "draft":
            payments.check(found.value, seen)
            seen = await self._finalized(found, stripe)
        found = await self._payments.observe(found, seen, actor)
        if seen.status == "open" and await stripe.can_charge(found.value.stripe_customer_id):
            payments.check(found.value, seen)
            seen, has_failed = await self._charged(found, stripe)
            found = await self._payments.observe(found, seen, actor, has_failed=has_failed)
        await self._payments.save(found, payments.finish(found.value), "payment.collected", actor)

    async def _finalized(self, found: FoundPayment, stripe: Stripe) -> StripeInvoice:
        payment = found.value
        try:
            return await stripe.finalize(payment.stripe_invoice_id, operation_key(payment, "finalize"))
        except Refused:
            seen = await stripe.invoice(payment.stripe_invoice_id)
            if seen.status == "draft":
                raise
            return seen

    async def _charged(self, found: FoundPayment, stripe: Stripe) -> tuple[StripeInvoice, bool]:
        """The invoice after the attempt to charge it, and whether the charge was declined."""
        payment = found.value
        try:
            return await stripe.pay(payment.stripe_invoice_id, operation_key(payment, "pay")), False
        except Declined:
            return await stripe.invoice(payment.stripe_invoice_id), True
        except Refused:
            seen = await stripe.invoice(payment.stripe_invoice_id)
            if seen.status == "open":
                raise
            return seen, False
