"""HTTP routes of tenants."""

from datetime import date, datetime

import msgspec

from functions.tenants import quarantine_routes
from functions.tenants.domain.lifecycle import Reason
from functions.tenants.lifecycle import Lifecycle, TenantRequest
from functions.tenants.quarantine import Shelf
from shared.http import SIGNED_IN, Call, Response, Route, json_response
from shared.http.idempotency import Idempotency
from shared.http.pagination import Listing, Paging
from shared.tenant import Isolation, Status, Tenant
from shared.tiers import LIMITS, Limits, Tier

READ = "platform:tenants:read"
WRITE = "platform:tenants:write"


class TenantView(msgspec.Struct, frozen=True):
    id: str
    slug: str
    name: str
    owner_email: str
    tier: Tier
    isolation: Isolation
    status: Status
    status_reason: str
    contract_start: date
    limits: Limits
    created_at: datetime
    updated_at: datetime


class SuspendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Reason


class Handlers:
    def __init__(self, lifecycle: Lifecycle, idempotency: Idempotency) -> None:
        self._lifecycle = lifecycle
        self._idempotency = idempotency

    async def create(self, call: Call) -> Response:
        request = await call.json(TenantRequest)
        return await self._idempotency.answer(
            call, lambda once: self._lifecycle.create(request, call.actor, once), _created
        )

    async def listed(self, call: Call) -> Response:
        asked = call.query(Paging)
        found = await self._lifecycle.listed(asked.limit, asked.cursor)
        return json_response(Listing([_view(tenant) for tenant in found.items], found.next_cursor))

    async def get(self, call: Call) -> Response:
        return json_response(_view(await self._lifecycle.get(call.params["tenant_id"], call.principal)))

    async def suspend(self, call: Call) -> Response:
        request = await call.json(SuspendRequest)
        return json_response(
            _view(await self._lifecycle.suspend(call.params["tenant_id"], request.reason, call.actor))
        )

    async def resume(self, call: Call) -> Response:
        return json_response(_view(await self._lifecycle.resume(call.params["tenant_id"], call.actor)))


def table(lifecycle: Lifecycle, shelf: Shelf, idempotency: Idempotency) -> tuple[Route, ...]:
    on = Handlers(lifecycle, idempotency)
    return (
        Route("GET", "/v1/tenants", on.listed, READ),
        Route("POST", "/v1/tenants", on.create, WRITE),
        Route("GET", "/v1/tenants/{tenant_id}", on.get, SIGNED_IN),
        Route("POST", "/v1/tenants/{tenant_id}/suspend", on.suspend, WRITE),
        Route("POST", "/v1/tenants/{tenant_id}/resume", on.resume, WRITE),
        *quarantine_routes.table(shelf),
    )


def _created(tenant: Tenant) -> Response:
    return json_response(_view(tenant), 201, {"Location": f"/v1/tenants/{tenant.id}"})


def _view(tenant: Tenant) -> TenantView:
    return TenantView(
        id=tenant.id,
        slug=tenant.slug,
        name=tenant.name,
        owner_email=tenant.owner_email,
        tier=tenant.tier,
        isolation=tenant.isolation,
        status=tenant.status,
        status_reason=tenant.status_reason,
        contract_start=tenant.contract_start,
        limits=LIMITS[tenant.tier],
        created_at=tenant.created_at,
        updated_at=tenant.updated_at,
    )
