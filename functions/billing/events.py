"""The event door of billing: usage, the life of tenants, the schedule."""

from functions.billing.closing import Closing
from functions.billing.domain import periods
from functions.billing.domain.periods import Period
from functions.billing.subscriptions import Subscriptions
from functions.billing.usage import Recorder
from shared.audit import Actor
from shared.envelope import Delivery
from shared.event_door import EventHandler, Rejected, data_of, ignored
from shared.events import CloudEvent
from shared.outbox import Outbox
from shared.payloads import CloseRequested


class Handlers:
    def __init__(
        self, recorder: Recorder, subscriptions: Subscriptions, closing: Closing, outbox: Outbox
    ) -> None:
        self._recorder = recorder
        self._subscriptions = subscriptions
        self._closing = closing
        self._outbox = outbox

    async def used(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._recorder.record(event, delivery)

    async def tenant_changed(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._subscriptions.follow(_tenant_id(event), _actor(event))

    async def close_requested(self, event: CloudEvent, delivery: Delivery) -> None:
        period = _period(data_of(event, CloseRequested))
        await self._closing.close(_tenant_id(event), period, _actor(event))

    async def ticked(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._closing.tick()

    async def swept(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._outbox.sweep()


def table(
    recorder: Recorder, subscriptions: Subscriptions, closing: Closing, outbox: Outbox
) -> dict[str, EventHandler]:
    on = Handlers(recorder, subscriptions, closing, outbox)
    return {
        "usage.recorded": on.used,
        "tenant.activated": on.tenant_changed,
        "tenant.suspended": on.tenant_changed,  # may come before tenant.activated
        "tenant.resumed": on.tenant_changed,
        "billing.close.requested": on.close_requested,
        "billing.tick": on.ticked,
        "outbox.sweep": on.swept,
        "tenant.created": ignored,  # nothing is paid for before activation
        "invoice.finalized": ignored,  # ours, for others
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
