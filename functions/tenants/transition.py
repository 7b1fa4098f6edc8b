"""Commits a transition of a tenant's lifecycle: the document, its events and its audit record together."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from functions.tenants.domain.lifecycle import Standing
from functions.tenants.records import Found
from shared import audit
from shared.audit import Actor
from shared.outbox import Outbox
from shared.payloads import TenantChanged
from shared.store import Store, Write
from shared.tenant import Tenant


def standing(tenant: Tenant) -> Standing:
    return Standing(tenant.id, tenant.status, tenant.status_reason, tenant.tokens_valid_after)


def changed(tenant: Tenant) -> TenantChanged:
    """The data of `tenant.created`, `.activated`, `.suspended` and `.resumed`."""
    return TenantChanged(
        slug=tenant.slug,
        name=tenant.name,
        owner_email=tenant.owner_email,
        tier=tenant.tier,
        isolation=tenant.isolation,
        status=tenant.status,
        contract_start=tenant.contract_start,
    )


class Transitions:
    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    async def commit(
        self,
        found: Found[Tenant],
        to: Standing,
        *also: Write,
        action: str,
        events: Sequence[str],
        actor: Actor,
        at: datetime,
    ) -> Tenant:
        """Stores the tenant with the standing `to`, together with the writes `also`. Raises Stale."""
        tenant = msgspec.structs.replace(
            found.value,
            status=to.status,
            status_reason=to.reason,
            tokens_valid_after=to.tokens_valid_after,
            updated_at=at,
        )
        entries = [
            entry for name in events for entry in self._outbox.entries(name, tenant.id, changed(tenant))
        ]
        record = audit.record(
            self._store,
            tenant.id,
            actor=actor,
            action=action,
            target=tenant.id,
            at=at,
            detail={"status": to.status, "reason": to.reason},
        )
        await self._store.commit(found.replace(tenant), *also, *entries, record)
        return tenant
