"""Use-cases of a tenant's lifecycle that operators call: create, read, suspend, resume."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from functions.tenants import records
from functions.tenants.domain import contract, lifecycle, operations, slugs
from functions.tenants.domain.lifecycle import Reason, Standing
from functions.tenants.provisioning import step_requested
from functions.tenants.transition import Transitions, changed, standing
from shared import audit
from shared.audit import Actor
from shared.errors import Conflict
from shared.http.idempotency import EACH_TIME, Once
from shared.http.pagination import Listing
from shared.identity import Principal
from shared.ids import Clock, new_id
from shared.outbox import Outbox
from shared.store import AlreadyExists, Store, Write, until_not_stale
from shared.tenant import Isolation, Tenant
from shared.tiers import Tier


class TenantRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operator's request to create a tenant."""

    slug: str
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    tier: Tier
    owner_email: str
    isolation: Isolation = "shared"
    contract_start: date | UnsetType = UNSET


class Lifecycle:
    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._transitions = Transitions(store, outbox)

    async def create(self, request: TenantRequest, actor: Actor, once: Once[Tenant] = EACH_TIME) -> Tenant:
        """Creates a tenant and asks the cluster to provision it. Raises Invalid, Conflict `slug_taken`."""

        async def attempt() -> Tenant:
            tenant = self._accepted(request)
            slug = records.new_slug(self._store, tenant.slug, tenant.id)
            try:
                await self._store.commit(slug, *self._creation(tenant, actor), *once.writes(tenant))
            except AlreadyExists as met:
                if met.key != slug.key:
                    raise
                raise Conflict("slug_taken", "The slug is taken. Choose another.") from met
            return tenant

        return await once.run(attempt)

    async def get(self, tenant_id: str, caller: Principal) -> Tenant:
        """Operators may read any tenant, other callers their own. Raises NotFound for the rest."""
        may_read = "platform:tenants:read" in caller.scopes or (
            "tenant:read" in caller.scopes and caller.tenant_id == tenant_id
        )
        if not may_read:
            raise records.tenant_not_found()
        return (await records.tenant(self._store, tenant_id)).value

    async def listed(self, limit: int, cursor: str | None) -> Listing[Tenant]:
        """Oldest first. Raises BadRequest for a cursor that is not of this list."""
        return await records.listed(self._store, limit, cursor)

    async def suspend(self, tenant_id: str, reason: Reason, actor: Actor) -> Tenant:
        """Raises NotFound, Conflict."""

        def decide(before: Standing, at: datetime) -> Standing:
            return lifecycle.suspend(before, reason, at)

        return await self._move(tenant_id, decide, "tenant.suspend", "tenant.suspended", actor)

    async def resume(self, tenant_id: str, actor: Actor) -> Tenant:
        """Raises NotFound, Conflict."""

        def decide(before: Standing, at: datetime) -> Standing:
            return lifecycle.resume(before)

        return await self._move(tenant_id, decide, "tenant.resume", "tenant.resumed", actor)

    async def _move(
        self,
        tenant_id: str,
        decide: Callable[[Standing, datetime], Standing],
        action: str,
        event: str,
        actor: Actor,
    ) -> Tenant:
        async def attempt() -> Tenant:
            found = await records.tenant(self._store, tenant_id)
            at = self._clock()
            before = standing(found.value)
            after = decide(before, at)
            if after == before:
                return found.value
            return await self._transitions.commit(
                found, after, action=action, events=[event], actor=actor, at=at
            )

        return await until_not_stale(attempt)

    def _creation(self, tenant: Tenant, actor: Actor) -> list[Write]:
        """The writes that create the tenant and its provisioning operation."""
        operation = operations.provision(new_id("op"), tenant.created_at)
        return [
            records.new_tenant(self._store, tenant),
            records.new_operation(self._store, tenant.id, operation),
            *self._outbox.entries("tenant.created", tenant.id, changed(tenant)),
            *self._outbox.entries("tenant.step.requested", tenant.id, step_requested(tenant, operation)),
            audit.record(
                self._store,
                tenant.id,
                actor=actor,
                action="tenant.create",
                target=tenant.id,
                at=tenant.created_at,
                detail={"slug": tenant.slug, "tier": tenant.tier},
            ),
        ]

    def _accepted(self, request: TenantRequest) -> Tenant:
        now = self._clock()
        wanted = None if request.contract_start is UNSET else request.contract_start
        return Tenant(
            id=new_id("tnt"),
            slug=slugs.checked(request.slug),
            name=contract.name(request.name),
            owner_email=contract.owner_email(request.owner_email),
            tier=request.tier,
            isolation=request.isolation,
            status="provisioning",
            contract_start=contract.start(wanted, now.date()),
            created_at=now,
            updated_at=now,
        )
