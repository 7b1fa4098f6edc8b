"""Event handlers of billing: usage, tenants' lifecycle, payments, the scheduler."""

from functions.billing.closing import Closing
from functions.billing.collection import Collection
from functions.billing.domain import periods
from functions.billing.domain.periods import Period
from functions.billing.subscriptions import Subscriptions
from functions.billing.usage import Recorder
from functions.billing.webhooks import Webhooks, is_name
from shared.audit import Actor
from shared.envelope import Delivery
from shared.event_door import EventHandler, Rejected, data_of, ignored
from shared.events import CloudEvent
from shared.ids import is_id
from shared.outbox import Outbox
from shared.payloads import CloseRequested, InvoiceFinalized, StripeEventReceived


class Handlers:
    def __init__(
        self,
        recorder: Recorder,
        subscriptions: Subscriptions,
        closing: Closing,
        collection: Collection,
        webhooks: Webhooks,
        outbox: Outbox,
    ) -> None:
        self._recorder = recorder
        self._subscriptions = subscriptions
        self._closing = closing
        self._collection = collection
        self._webhooks = webhooks
        self._outbox = outbox

    async def used(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._recorder.record(event, delivery)

    async def tenant_changed(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._subscriptions.follow(_tenant_id(event), _actor(event))

    async def close_requested(self, event: CloudEvent, delivery: Delivery) -> None:
        period = _period(data_of(event, CloseRequested))
        await self._closing.close(_tenant_id(event), period, _actor(event))

    async def finalized(self, event: CloudEvent, delivery: Delivery) -> None:
        invoice_id = data_of(event, InvoiceFinalized).invoice_id
        if not is_id(invoice_id):
            raise Rejected("invalid_data", "The invoice_id is none of ours.")
        await self._collection.collect(_tenant_id(event), invoice_id, _actor(event))

    async def stripe_told(self, event: CloudEvent, delivery: Delivery) -> None:
        received = data_of(event, StripeEventReceived)
        if not is_name(received.stripe_invoice_id):
            raise Rejected("invalid_data", "The stripe_invoice_id is none of Stripe's.")
        await self._webhooks.follow(_tenant_id(event), received, _actor(event))

    async def ticked(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._closing.tick()
        await self._collection.tick()

    async def swept(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._outbox.sweep()


def table(
    recorder: Recorder,
    subscriptions: Subscriptions,
    closing: Closing,
    collection: Collection,
    webhooks: Webhooks,
    outbox: Outbox,
) -> dict[str, EventHandler]:
    on = Handlers(recorder, subscriptions, closing, collection, webhooks, outbox)
    return {
        "usage.recorded": on.used,
        "tenant.activated": on.tenant_changed,
        "tenant.suspended": on.tenant_changed,  # may come before tenant.activated
        "tenant.resumed": on.tenant_changed,
        "billing.close.requested": on.close_requested,
        "invoice.finalized": on.finalized,
        "stripe.event.received": on.stripe_told,
        "billing.tick": on.ticked,
        "outbox.sweep": on.swept,
        "tenant.created": ignored,  # nothing is paid for before activation
        "invoice.paid": ignored,  # published by billing, for other functions
        "invoice.past_due": ignored,
        "invoice.voided": ignored,
    }


def _period(request: CloseRequested) -> Period:
    try:
        return periods.parse(request.period)
    except ValueError:
        raise Rejected("invalid_data", "The period is not written YYYY-MM.") from None


def _tenant_id(event: CloudEvent) -> str:
    if not event.subject:
        raise Rejected("unknown_tenant", "The event has no subject.")
    return event.subject


def _actor(event: CloudEvent) -> Actor:
    return Actor("system", event.source, request_id=event.id)
