"""Subscriptions begin when a tenant is activated."""

from functions.billing import records
from functions.billing.domain import subscriptions
from shared import audit
from shared.audit import Actor
from shared.event_door import Rejected
from shared.ids import Clock
from shared.store import AlreadyExists, Store


class Subscriptions:
    def __init__(self, store: Store, clock: Clock, currency: str) -> None:
        self._store = store
        self._clock = clock
        self._currency = currency

    async def follow(self, tenant_id: str, actor: Actor) -> None:
        """Begins the subscription of a tenant that has been activated, once. The tenant's document decides,
        not the event, so events may be repeated and out of order. Raises `Rejected` for an unknown tenant.
        """
        found = await records.subscription(self._store, tenant_id, self._currency)
        if found is None:
            raise Rejected("unknown_tenant", "The subject is no tenant.")
        owner, subscription = found
        if subscription.version is not None or not subscriptions.is_billed(tenant_id, owner.status):
            return
        try:
            await self._store.commit(
                subscription.write(subscription.value),
                audit.record(
                    self._store,
                    tenant_id,
                    actor=actor,
                    action="subscription.begin",
                    target=tenant_id,
                    at=self._clock(),
                    detail={"tier": subscription.value.tier},
                ),
            )
        except AlreadyExists:
            return
