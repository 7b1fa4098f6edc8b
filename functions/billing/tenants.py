"""Checks that a tenant is billed, for the usage path: cheap, and without delay for a new tenant."""

from datetime import timedelta

from functions.billing.domain import subscriptions
from shared import tenant
from shared.cache import Cache, CacheLimits
from shared.event_door import Rejected
from shared.ids import Clock
from shared.store import Store
from shared.store.bodies import from_body
from shared.tenant import Tenant

LIMITS = CacheLimits(ttl=timedelta(seconds=30), stale=timedelta(minutes=5), size=10_000)


class BilledTenants:
    """Caches for 30 seconds that a tenant is billed, but never that it is not: it may be activated."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._cache: Cache[str, bool] = Cache("tenants", self._fetch, clock, LIMITS)

    async def check(self, tenant_id: str) -> None:
        """Raises `Rejected` for a tenant that is unknown or not billed (yet), `Unavailable`."""
        if not tenant_id:
            raise Rejected("unknown_tenant", "The event has no subject.")
        await self._cache.get(tenant_id)

    async def _fetch(self, tenant_id: str) -> bool:
        (doc,) = await self._store.read(tenant.key(self._store, tenant_id))
        if doc is None:
            raise Rejected("unknown_tenant", "The subject is no tenant.")
        if not subscriptions.is_billed(tenant_id, from_body(doc.body, Tenant).status):
            raise Rejected("tenant_not_billed", "The tenant was never activated, or is the platform itself.")
        return True
