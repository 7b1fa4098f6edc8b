"""The HTTP door to the OAuth clients of a tenant, their secrets and their keys."""

from functions.auth.domain import client_id
from functions.auth.machines import machine_views
from functions.auth.machines.holder_changes import CredentialKind
from functions.auth.oauth import client_views
from functions.auth.use_cases import UseCases
from functions.auth.views import page
from shared.http import NO_STORE, Call, Handler, Response, Route, json_response
from shared.http.pagination import Paging

_ALL = "/v1/clients"
_ONE = f"{_ALL}/{{client_id}}"
_READ = "clients:read"
_WRITE = "clients:write"


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("POST", _ALL, on.create, _WRITE),
        Route("GET", _ALL, on.page, _READ),
        Route("GET", _ONE, on.get, _READ),
        Route("PATCH", _ONE, on.update, _WRITE),
        Route("DELETE", _ONE, on.delete, _WRITE),
        Route("POST", f"{_ONE}/secrets", on.add_secret, _WRITE),
        Route("DELETE", f"{_ONE}/secrets/{{secret_id}}", on.remove("secrets", "secret_id"), _WRITE),
        Route("POST", f"{_ONE}/keys", on.add_key, _WRITE),
        Route("DELETE", f"{_ONE}/keys/{{kid}}", on.remove("keys", "kid"), _WRITE),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def create(self, call: Call) -> Response:
        wanted = client_views.wanted(await call.json(client_views.ClientRequest))
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
        change = client_views.change(await call.json(client_views.ClientChangeRequest))
        client = await self._do.oauth_client_changes.update(call.principal, call.actor, _own_id(call), change)
        return json_response(client_views.client(client))

    async def delete(self, call: Call) -> Response:
        await self._do.oauth_client_changes.delete(call.principal, call.actor, _own_id(call))
        return Response(204)

    async def add_secret(self, call: Call) -> Response:
        asked = await call.json(machine_views.SecretRequest)
        named = client_id.of(call.principal.tenant_id, _own_id(call))
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.oauth_client_changes.add_secret(
                call.principal, call.actor, _own_id(call), asked.expires_at, once
            ),
            show=lambda added: _created(machine_views.secret_added(added, named)),
            keep=lambda added: _created(machine_views.secret_added_before(added.secret, named)),
        )

    async def add_key(self, call: Call) -> Response:
        asked = await call.json(machine_views.KeyRequest)
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.oauth_client_changes.add_key(
                call.principal, call.actor, _own_id(call), asked.jwk, asked.expires_at, once
            ),
            show=lambda key: json_response(machine_views.key(key), 201),
        )

    def remove(self, kind: CredentialKind, parameter: str) -> Handler:
        async def handler(call: Call) -> Response:
            await self._do.oauth_client_changes.remove(
                call.principal, call.actor, _own_id(call), kind, call.params[parameter]
            )
            return Response(204)

        return handler


def _own_id(call: Call) -> str:
    return call.params["client_id"]


def _created(view: object) -> Response:
    return json_response(view, 201, headers=NO_STORE)
