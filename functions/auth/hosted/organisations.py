"""Organisations as people know theirs: by the name, and by the short one that they type to sign in."""

from functions.auth import records
from shared import tenant
from shared.store import Store
from shared.tenant import Tenant


class Organisations:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, tenant_id: str) -> Tenant | None:
        """For somebody who has proven to be of it. None for a tenant that is gone."""
        found = await records.read(self._store, tenant.key(self._store, tenant_id), Tenant)
        return None if found is None else found.value
