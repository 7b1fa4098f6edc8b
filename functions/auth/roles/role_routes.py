"""The HTTP door to the roles that a tenant makes for itself."""

from msgspec import UNSET

from functions.auth.roles import role_views as views
from functions.auth.use_cases import UseCases
from functions.auth.views import page
from shared.http import Call, Response, Route, json_response
from shared.http.pagination import Paging

_ONE = "/v1/roles/{role}"


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Roles(use_cases)
    return (
        Route("POST", "/v1/roles", on.create, "roles:write"),
        Route("GET", "/v1/roles", on.page, "roles:read"),
        Route("GET", _ONE, on.get, "roles:read"),
        Route("PATCH", _ONE, on.change, "roles:write"),
        Route("DELETE", _ONE, on.delete, "roles:write"),
    )


class _Roles:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def create(self, call: Call) -> Response:
        asked = await call.json(views.RoleRequest)
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.roles.create(
                call.principal, call.actor, asked.name, asked.description, asked.scopes, once
            ),
            lambda role: json_response(views.role(role), 201),
        )

    async def page(self, call: Call) -> Response:
        asked = call.query(Paging)
        listing = await self._do.roles.page(call.principal.tenant_id, asked.limit, asked.cursor)
        return json_response(page(listing, views.role))

    async def get(self, call: Call) -> Response:
        role = await self._do.roles.get(call.principal.tenant_id, call.params["role"])
        return json_response(views.role(role))

    async def change(self, call: Call) -> Response:
        asked = await call.json(views.RoleChangeRequest)
        description = None if asked.description is UNSET else asked.description
        scopes = None if asked.scopes is UNSET else asked.scopes
        role = await self._do.roles.change(
            call.principal, call.actor, call.params["role"], description, scopes
        )
        return json_response(views.role(role))

    async def delete(self, call: Call) -> Response:
        await self._do.roles.delete(call.principal, call.actor, call.params["role"])
        return Response(204)
