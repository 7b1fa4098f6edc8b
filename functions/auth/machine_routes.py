"""The HTTP door to the machines of a tenant: service accounts."""

import msgspec

from functions.auth import views
from functions.auth.use_cases import UseCases
from shared.http import NO_STORE, Call, Response, Route, json_response
from shared.http.pagination import Paging


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("POST", "/v1/service-accounts", on.create, "service_accounts:write"),
        Route("GET", "/v1/service-accounts", on.page, "service_accounts:read"),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def create(self, call: Call) -> Response:
        asked = await call.json(views.ServiceAccountRequest)
        tenant_id = call.principal.tenant_id
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.service_accounts.create(
                call.principal, call.actor, asked.name, asked.scopes, once
            ),
            show=lambda made: _made(views.service_account_made(made, tenant_id)),
            keep=lambda made: _made(views.service_account_made_before(made, tenant_id)),
        )

    async def page(self, call: Call) -> Response:
        asked = call.query(Paging)
        tenant_id = call.principal.tenant_id
        listing = await self._do.service_accounts.page(tenant_id, asked.limit, asked.cursor)
        return json_response(views.page(listing, lambda account: views.service_account(account, tenant_id)))


def _made(view: msgspec.Struct) -> Response:
    return json_response(view, 201, headers=NO_STORE)
