"""Event handlers of tenants: reports of the cluster, and the scheduler's sweep."""

import asyncio

from functions.tenants.provisioning import Provisioning
from shared.audit import Actor
from shared.envelope import Delivery
from shared.event_door import EventHandler, data_of, ignored
from shared.events import CloudEvent
from shared.outbox import Outbox
from shared.payloads import StatusReported


class Handlers:
    def __init__(self, provisioning: Provisioning, outbox: Outbox) -> None:
        self._provisioning = provisioning
        self._outbox = outbox

    async def reported(self, event: CloudEvent, delivery: Delivery) -> None:
        await self._provisioning.reported(event.subject, data_of(event, StatusReported), _actor(event))

    async def swept(self, event: CloudEvent, delivery: Delivery) -> None:
        """Runs both tasks, even if one of them fails."""
        both = (self._outbox.sweep(), self._provisioning.ask_again(_actor(event)))
        for outcome in await asyncio.gather(*both, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome


def table(provisioning: Provisioning, outbox: Outbox) -> dict[str, EventHandler]:
    on = Handlers(provisioning, outbox)
    return {
        "tenant.status.reported": on.reported,
        "outbox.sweep": on.swept,
        "tenant.step.requested": ignored,  # published by tenants, for the cluster
        "invoice.finalized": ignored,  # payment decides about suspension, not the invoice
        "invoice.paid": ignored,
        "invoice.past_due": ignored,
        "invoice.voided": ignored,
    }


def _actor(event: CloudEvent) -> Actor:
    return Actor("system", event.source, request_id=event.id)
