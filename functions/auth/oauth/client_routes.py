"""The HTTP door to the OAuth clients of a tenant, their secrets and their keys."""

from functions.auth.credentials.credential_routes import CredentialHandlers
from functions.auth.oauth import client_views
from functions.auth.oauth.oauth_client_changes import ClientChange
from functions.auth.oauth.oauth_clients import Wanted
from functions.auth.use_cases import UseCases
from functions.auth.views import page
from shared.http import NO_STORE, Call, Response, Route, json_response
from shared.http.pagination import Paging

_ALL = "/v1/clients"
_ONE = f"{_ALL}/{{client_id}}"
_READ = "clients:read"
_WRITE = "clients:write"


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    held = CredentialHandlers(use_cases.idempotency, use_cases.oauth_client_changes, "client_id")
    return (
        Route("POST", _ALL, on.create, _WRITE),
        Route("GET", _ALL, on.page, _READ),
        Route("GET", _ONE, on.get, _READ),
        Route("PATCH", _ONE, on.update, _WRITE),
        Route("DELETE", _ONE, on.delete, _WRITE),
        Route("POST", f"{_ONE}/secrets", held.add_secret, _WRITE),
        Route("DELETE", f"{_ONE}/secrets/{{secret_id}}", held.remove("secrets", "secret_id"), _WRITE),
        Route("POST", f"{_ONE}/keys", held.add_key, _WRITE),
        Route("DELETE", f"{_ONE}/keys/{{kid}}", held.remove("keys", "kid"), _WRITE),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def create(self, call: Call) -> Response:
        wanted = await call.json(Wanted)
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.oauth_clients.create(call.principal, call.actor, wanted, once),
            show=lambda made: _created(client_views.registered(made)),
            keep=lambda made: _created(client_views.registered_before(made)),
        )

    async def page(self, call: Call) -> Response:
        asked = call.query(Paging)
        listing = await self._do.oauth_clients.page(call.principal.tenant_id, asked.limit, asked.cursor)
        return json_response(page(listing, client_views.client))

    async def get(self, call: Call) -> Response:
        client = await self._do.oauth_clients.get(call.principal.tenant_id, _own_id(call))
        return json_response(client_views.client(client))

    async def update(self, call: Call) -> Response:
        change = await call.json(ClientChange)
        client = await self._do.oauth_client_changes.update(call.principal, call.actor, _own_id(call), change)
        return json_response(client_views.client(client))

    async def delete(self, call: Call) -> Response:
        await self._do.oauth_client_changes.delete(call.principal, call.actor, _own_id(call))
        return Response(204)


def _own_id(call: Call) -> str:
    return call.params["client_id"]


def _created(view: object) -> Response:
    return json_response(view, 201, headers=NO_STORE)
