"""Which tenants exist, as the usage path needs to know it: cheaply, and right away for a new one."""

from datetime import timedelta

from shared import tenant
from shared.cache import Cache, CacheLimits
from shared.errors import NotFound
from shared.ids import Clock
from shared.store import Store

LIMITS = CacheLimits(ttl=timedelta(seconds=30), stale=timedelta(minutes=5), size=10_000)


class KnownTenants:
    """Keeps that a tenant exists for 30 seconds; that one does not is never kept."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._cache: Cache[str, bool] = Cache("tenants", self._fetch, clock, LIMITS)

    async def has(self, tenant_id: str) -> bool:
        try:
            return await self._cache.get(tenant_id)
        except NotFound:
            return False

    async def _fetch(self, tenant_id: str) -> bool:
        (doc,) = await self._store.read(tenant.key(self._store, tenant_id))
        if doc is None:
            raise NotFound("no_such_tenant", "There is no such tenant.")
        return True
