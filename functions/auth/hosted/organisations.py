"""A person's organisation (tenant), for pages that show its name and its slug."""

from functions.auth import records
from shared import tenant
from shared.store import Store
from shared.tenant import Tenant


class Organisations:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, tenant_id: str) -> Tenant | None:
        """Call it only for a person who has proven to belong to the tenant. None if it does not exist."""
        found = await records.read(self._store, tenant.key(self._store, tenant_id), Tenant)
        return None if found is None else found.value
