"""Stores payments: each change is one commit with its audit record, and its event if the status changes."""

from functions.billing import records
from functions.billing.domain import payments
from functions.billing.domain.payments import Payment, StripeInvoice
from functions.billing.records import FoundPayment
from shared import audit, events
from shared.audit import Actor
from shared.bus import BILLING_EVENTS
from shared.ids import Clock, new_id
from shared.outbox import Outbox
from shared.payloads import InvoiceFinalized, InvoicePaid, InvoicePastDue, InvoiceVoided
from shared.store import Create, Store


class Payments:
    """Methods that write raise `Stale` if the payment has changed since it was read."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def find(self, tenant_id: str, invoice_id: str) -> FoundPayment | None:
        key = records.payment_key(self._store, tenant_id, invoice_id)
        (doc,) = await self._store.read(key)
        return None if doc is None else FoundPayment(tenant_id, key, records.payment_of(doc), doc.version)

    async def of_stripe_invoice(self, tenant_id: str, stripe_invoice_id: str) -> FoundPayment | None:
        """The tenant's payment that is collected through this Stripe invoice."""
        page = await self._store.tenant(tenant_id).query(
            records.PAYMENTS_OF_STRIPE_INVOICE, equal={"stripe_invoice_id": stripe_invoice_id}, limit=1
        )
        for doc in page.docs:
            return FoundPayment(tenant_id, doc.key, records.payment_of(doc), doc.version)
        return None

    async def save(self, found: FoundPayment, value: Payment, action: str, actor: Actor) -> FoundPayment:
        """Stores `value`. Writes nothing if it is unchanged."""
        if value == found.value:
            return found
        at = self._clock()
        version, *_ = await self._store.commit(
            found.replace(value),
            audit.record(
                self._store,
                found.tenant_id,
                actor=actor,
                action=action,
                target=value.invoice_id,
                at=at,
                detail=_detail(value),
            ),
            *(news(self._outbox, found.tenant_id, value) if value.status != found.value.status else ()),
        )
        assert version is not None  # noqa: S101 - a replaced document has one
        return FoundPayment(found.tenant_id, found.key, value, version)

    async def observe(
        self, found: FoundPayment, seen: StripeInvoice, actor: Actor, *, has_failed: bool = False
    ) -> FoundPayment:
        """Stores the state of the Stripe invoice, if it is new. Raises `Mismatch`."""
        value = payments.observe(found.value, seen, self._clock(), has_failed=has_failed)
        return await self.save(found, value, f"payment.{value.status}", actor)

    async def ask_again(self, found: FoundPayment) -> None:
        """Publishes the event that starts the collection again, to billing only."""
        value = found.value
        at = self._clock()
        finalized = InvoiceFinalized(
            value.invoice_id, value.period, value.currency, value.total_minor, value.finalized_at
        )
        event = events.make(
            "invoice.finalized",
            event_id=new_id("evt"),
            source="//energent/billing",
            subject=found.tenant_id,
            time=at,
            data=finalized,
        )
        await self._store.commit(
            found.replace(payments.postpone(value, at)), *self._outbox.entries_of(event, (BILLING_EVENTS,))
        )


def news(outbox: Outbox, tenant_id: str, payment: Payment) -> list[Create]:
    """The event about a payment's new status, for the commit that changes it."""
    what = (payment.invoice_id, payment.period, payment.currency, payment.total_minor)
    match payment.status:
        case "paid" if payment.paid_at is not None:
            return outbox.entries("invoice.paid", tenant_id, InvoicePaid(*what, payment.paid_at))
        case "past_due":
            return outbox.entries("invoice.past_due", tenant_id, InvoicePastDue(*what))
        case "voided":
            return outbox.entries("invoice.voided", tenant_id, InvoiceVoided(*what))
    return []


def _detail(payment: Payment) -> dict[str, str]:
    """Details for the audit log: Stripe's ids, no amounts and no personal data."""
    said = {"stripe_invoice_id": payment.stripe_invoice_id, "blocked": payment.blocked}
    return {name: text for name, text in said.items() if text}
