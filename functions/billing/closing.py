"""Closes a month: makes exactly one invoice for each tenant and period, however often it is requested."""

from datetime import timedelta

from functions.billing import payments, records
from functions.billing.domain import invoices, periods, subscriptions
from functions.billing.domain.catalogue import Catalogue
from functions.billing.domain.invoices import Invoice, Party, TooLarge
from functions.billing.domain.payments import begin
from functions.billing.domain.periods import Period
from functions.billing.records import FoundSubscription
from shared import audit
from shared.audit import Actor
from shared.event_door import Rejected
from shared.ids import Clock
from shared.outbox import Outbox
from shared.payloads import CloseRequested, InvoiceFinalized
from shared.store import AlreadyExists, Create, Stale, Store, Write, until_not_stale
from shared.tenant import Tenant

GRACE = timedelta(hours=24)
"""How long after a month's end the schedule waits for late usage before it closes the month."""


class Closing:
    def __init__(self, store: Store, outbox: Outbox, catalogue: Catalogue, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._catalogue = catalogue
        self._clock = clock

    async def close(self, tenant_id: str, period: Period, actor: Actor) -> None:
        """Makes the invoice of a period that is over. Does nothing if it is closed already.

        Raises `Rejected` for an open period and for a tenant that is unknown or not billed.
        """
        if self._clock() < periods.end(period):
            raise Rejected("period_open", "The period is not over.")
        await until_not_stale(lambda: self._attempt(tenant_id, period, actor))

    async def tick(self) -> None:
        """Requests the close of the last month for each tenant that lacks it, once `GRACE` is over."""
        due = periods.previous(periods.of(self._clock() - GRACE))
        async for tenants in records.tenant_pages(self._store):
            entries = await self._requests(
                [tenant for tenant in tenants if subscriptions.is_billed(tenant.id, tenant.status)], due
            )
            if entries:
                await self._store.commit(*entries)

    async def _requests(self, tenants: list[Tenant], due: Period) -> list[Create]:
        keys = [records.subscription_key(self._store, tenant.id) for tenant in tenants]
        docs = await self._store.read(*keys)
        return [
            entry
            for tenant, doc in zip(tenants, docs, strict=True)
            if doc is None or subscriptions.is_open(records.subscription_of(doc), due)
            for entry in self._outbox.entries("billing.close.requested", tenant.id, CloseRequested(due))
        ]

    async def _attempt(self, tenant_id: str, period: Period, actor: Actor) -> None:
        found = await records.subscription(self._store, tenant_id, self._catalogue.currency)
        if found is None:
            raise Rejected("unknown_tenant", "The subject is no tenant.")
        owner, subscription = found
        if not subscriptions.is_billed(owner.id, owner.status):
            raise Rejected("tenant_not_billed", "The tenant was never activated, or is the platform itself.")
        if not subscriptions.is_open(subscription.value, period):
            return
        writes = await self._writes(owner, subscription, period, actor)
        try:
            await self._store.commit(*writes)
        except AlreadyExists as faster:
            raise Stale from faster

    async def _writes(
        self, owner: Tenant, subscription: FoundSubscription, period: Period, actor: Actor
    ) -> list[Write]:
        at = self._clock()
        first = subscriptions.open_since(subscription.value)
        usage = await records.usage_by_period(self._store, owner.id, first, period)
        party = Party(owner.id, owner.slug, owner.name, subscription.value.tier)
        try:
            invoice, closed = invoices.close(
                subscription.value, period, usage, self._catalogue, party=party, at=at
            )
        except TooLarge:
            raise Rejected("usage_out_of_bounds", "The usage or its price does not fit 64 bits.") from None
        return [
            *self._invoice_writes(invoice),
            subscription.write(closed),
            audit.record(
                self._store,
                owner.id,
                actor=actor,
                action="period.close",
                target=invoice.id if invoice else period,
                at=at,
                detail={"period": period},
            ),
        ]

    def _invoice_writes(self, invoice: Invoice | None) -> list[Write]:
        if invoice is None:
            return []
        finalized = InvoiceFinalized(
            invoice.id, invoice.period, invoice.currency, invoice.total_minor, invoice.finalized_at
        )
        payment = begin(invoice)
        return [
            records.create_invoice(self._store, invoice),
            records.create_payment(self._store, invoice.party.id, payment),
            *self._outbox.entries("invoice.finalized", invoice.party.id, finalized),
            *payments.news(self._outbox, invoice.party.id, payment),
        ]
