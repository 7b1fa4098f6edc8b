"""One tenant's billing on the embedded store, with a clock that tests set and a store that can fail."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from functions.billing import events, records
from functions.billing.closing import Closing
from functions.billing.collection import Collection
from functions.billing.customers import Customers
from functions.billing.domain.catalogue import EXAMPLE, Catalogue
from functions.billing.domain.invoices import Invoice
from functions.billing.domain.payments import Payment
from functions.billing.domain.periods import Period
from functions.billing.domain.subscriptions import Subscription
from functions.billing.invoices import Invoices
from functions.billing.payments import Payments
from functions.billing.stripe_port import Stripe
from functions.billing.stripe_secrets import StripeSecrets
from functions.billing.subscriptions import Subscriptions
from functions.billing.tenants import BilledTenants
from functions.billing.usage import Recorder
from functions.billing.usage_report import UsageReports
from functions.billing.webhooks import Webhooks
from shared import outbox, quarantine, tenant
from shared.bus import Bus, Message
from shared.envelope import Delivery
from shared.event_door import Rejected
from shared.events import CloudEvent, full_type, make
from shared.ids import new_id
from shared.outbox import Outbox
from shared.quarantine import Quarantine, Quarantined
from shared.store import Create, Doc, Query, Replace, Store
from shared.store.bodies import from_body, to_body
from shared.tenant import Tenant

AUDIT = Query("audit_in_test", "audit", order="at")
SHELF = Query("quarantine_in_test", "quarantine", order="received_at")
QUERIES = (*records.QUERIES, *outbox.QUERIES, *quarantine.QUERIES, AUDIT, SHELF)
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
ACME = "tnt_acme"


class Now:
    """A clock."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


class NoBus(Bus):
    """Nothing is published: entries stay in the outbox, where tests count them."""

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        raise AssertionError("nothing publishes here")

    async def close(self) -> None: ...


class World:
    """An instance of billing. A second one on the same store is another instance of it."""

    def __init__(
        self,
        store: Store,
        tenant_id: str = ACME,
        now: Now | None = None,
        catalogue: Catalogue = EXAMPLE,
        stripe: Stripe | None = None,
        secrets: StripeSecrets | None = None,
        budget_seconds: float = 20.0,
    ) -> None:
        self.store = store
        self.tenant_id = tenant_id
        self.now = now or Now(NOON)
        self.catalogue = catalogue
        self.quarantine = Quarantine(store, self.now, "billing")
        self.outbox = Outbox(store, NoBus(), self.now, "billing")
        self.reports = UsageReports(store, self.now, catalogue.meters)
        self.invoice_reader = Invoices(store)
        self.billed = BilledTenants(store, self.now)
        recorder = Recorder(store, self.quarantine, self.now, catalogue.meters, self.billed.check)
        subscriptions = Subscriptions(store, self.now, catalogue.currency)
        self.closing = Closing(store, self.outbox, catalogue, self.now)
        self.payments = Payments(store, self.outbox, self.now)
        customers = Customers(store, self.now)
        self.collection = Collection(
            store, self.payments, customers, stripe, self.now, budget_seconds=budget_seconds
        )
        self.webhooks = Webhooks(store, self.outbox, self.payments, customers, secrets, stripe, self.now)
        self.handlers = events.table(
            recorder, subscriptions, self.closing, self.collection, self.webhooks, self.outbox
        )
        self._messages = 0

    async def add_tenant(self, **changes: Any) -> None:
        values: dict[str, Any] = {
            "id": self.tenant_id,
            "slug": "acme",
            "name": "Acme Inc.",
            "owner_email": "owner@acme.example",
            "tier": "standard",
            "isolation": "shared",
            "status": "active",
            "contract_start": date(2026, 1, 1),
            "created_at": datetime(2026, 1, 1, tzinfo=UTC),
            "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
        }
        value = Tenant(**{**values, **changes})
        await self.store.commit(Create(tenant.key(self.store, value.id), to_body(value)))

    async def change_tenant(self, **changes: Any) -> None:
        (doc,) = await self.store.read(tenant.key(self.store, self.tenant_id))
        assert doc is not None
        value = msgspec.structs.replace(msgspec.convert(doc.body, Tenant), **changes)
        await self.rewrite(doc, to_body(value))

    async def rewrite(self, doc: Doc, body: dict[str, Any]) -> None:
        """Puts something else where a document stands."""
        mark = Create(self.store.tenant(self.tenant_id).key("audit", new_id("aud")), {})
        await self.store.commit(Replace(doc.key, body, doc.version), mark)

    async def deliver(
        self, name: str, data: Any, *, message_id: str | None = None, subject: str | None = None
    ) -> None:
        """As the event door does: what is rejected goes to the quarantine."""
        self._messages += 1
        message_id = message_id or f"{id(self)}-{self._messages}"
        subject = self.tenant_id if subject is None else subject
        event = make(
            name,
            event_id=message_id,
            source="//acme/agents",
            subject=subject,
            time=self.now(),
            data=data,
        )
        await self.deliver_event(event, message_id)

    async def deliver_event(self, event: CloudEvent, message_id: str) -> None:
        delivery = Delivery(
            message_id, msgspec.json.encode(event), {"type": event.type}, topic="billing-events"
        )
        name = event.type.removeprefix("ai.energent.").removesuffix(".v1")
        assert full_type(name) == event.type
        try:
            await self.handlers[name](event, delivery)
        except Rejected as never:
            await self.quarantine.put(self.quarantine.write(delivery, never.reason, never.detail, event))

    async def use(self, *used: Mapping[str, Any], message_id: str | None = None) -> None:
        await self.deliver("usage.recorded", {"events": used}, message_id=message_id)

    async def close(self, period: str) -> None:
        await self.deliver("billing.close.requested", {"period": period})

    async def counted(self) -> dict[tuple[str, str], int]:
        """Micro-units by meter and month."""
        usage = await records.usage_by_period(
            self.store, self.tenant_id, Period("2025-01"), Period("2028-12")
        )
        return {(meter, month): total for month, found in usage.items() for meter, total in found.items()}

    async def events_counted(self) -> int:
        sums = await records.usage_by_day(self.store, self.tenant_id, date(2025, 1, 1), date(2028, 12, 31))
        return sum(found.events for found in sums.values())

    async def invoices(self) -> list[Invoice]:
        """Oldest first."""
        page = await self.invoice_reader.page(self.tenant_id, 100, None)
        return [statement.invoice for statement in page.items][::-1]

    async def payment(self, invoice_id: str) -> Payment:
        """What stands in the store."""
        found = await self.payments.find(self.tenant_id, invoice_id)
        assert found is not None
        return found.value

    async def invoice(self) -> Invoice:
        (only,) = await self.invoices()
        return only

    async def lines(self) -> list[tuple[str, str, str | None, int, int]]:
        """Kind, period, meter, micro-units and cents of each line of the newest invoice."""
        newest = (await self.invoices())[-1]
        return [
            (line.kind, line.period, line.meter, line.quantity_micro, line.amount_minor)
            for line in newest.lines
        ]

    async def quarantined(self) -> list[Quarantined]:
        page = await self.store.platform().query(SHELF, limit=1000)
        return [from_body(doc.body, Quarantined) for doc in page.docs][::-1]

    async def reasons(self) -> list[str]:
        return sorted(kept.reason for kept in await self.quarantined())

    async def subscription(self) -> Subscription | None:
        doc = await self.store.tenant(self.tenant_id).get("subscriptions", "current")
        return None if doc is None else records.subscription_of(doc)

    async def audited(self) -> list[str]:
        """What was done, oldest first."""
        page = await self.store.tenant(self.tenant_id).query(AUDIT, limit=1000)
        return [doc.body["action"] for doc in page.docs]

    async def announced(self, name: str) -> list[str]:
        """The topics that the tenant's events of one type were sent to."""
        ours = [event for event in await self.sent() if event["subject"] == self.tenant_id]
        return sorted(event["topic"] for event in ours if event["type"] == full_type(name))

    async def sent(self) -> list[dict[str, Any]]:
        """The events in the outbox."""
        found: list[dict[str, Any]] = []
        for shard in range(outbox.SHARDS):
            page = await self.store.platform().query(outbox.DUE, "outbox", f"billing-{shard}", limit=1000)
            found += [
                {"topic": doc.body["topic"], **msgspec.json.decode(doc.body["data"])} for doc in page.docs
            ]
        return found


def used(
    event_id: str,
    quantity: Any = 1,
    *,
    at: datetime = NOON - timedelta(hours=1),
    meter: str = "agent_minutes",
    **changes: Any,
) -> dict[str, Any]:
    return {"id": event_id, "time": at, "meter": meter, "quantity": quantity, **changes}


def billed(invoices: Sequence[Invoice]) -> dict[tuple[str, str], int]:
    """Micro-units on the lines of the invoices, by meter and month."""
    sums: dict[tuple[str, str], int] = {}
    for invoice in invoices:
        for line in invoice.lines:
            if line.meter is not None:
                name = (line.meter, line.period)
                sums[name] = sums.get(name, 0) + line.quantity_micro
    return sums
