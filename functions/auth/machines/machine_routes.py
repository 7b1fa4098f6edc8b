"""The HTTP door to the service accounts of a tenant, their secrets and their keys."""

from functions.auth.credentials import credential_views
from functions.auth.credentials.credential_routes import CredentialHandlers
from functions.auth.credentials.holder_changes import CredentialKind
from functions.auth.machines import machine_views as views
from functions.auth.use_cases import UseCases
from functions.auth.views import page
from shared.http import NO_STORE, Call, Handler, Response, Route, json_response
from shared.http.pagination import Paging

_ALL = "/v1/service-accounts"
_ONE = f"{_ALL}/{{service_account_id}}"
_WRITE = "service_accounts:write"


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    held = CredentialHandlers(use_cases.idempotency, use_cases.service_account_changes, "service_account_id")
    return (
        Route("POST", _ALL, on.create, _WRITE),
        Route("GET", _ALL, on.page, "service_accounts:read"),
        Route("GET", _ONE, on.get, "service_accounts:read"),
        Route("PATCH", _ONE, on.update, _WRITE),
        Route("DELETE", _ONE, on.delete, _WRITE),
        Route("POST", f"{_ONE}/secrets", held.add_secret, _WRITE),
        Route("PATCH", f"{_ONE}/secrets/{{secret_id}}", on.expire("secrets", "secret_id"), _WRITE),
        Route("DELETE", f"{_ONE}/secrets/{{secret_id}}", held.remove("secrets", "secret_id"), _WRITE),
        Route("POST", f"{_ONE}/keys", held.add_key, _WRITE),
        Route("PATCH", f"{_ONE}/keys/{{kid}}", on.expire("keys", "kid"), _WRITE),
        Route("DELETE", f"{_ONE}/keys/{{kid}}", held.remove("keys", "kid"), _WRITE),
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
            show=lambda made: _created(views.service_account_made(made, tenant_id)),
            keep=lambda made: _created(views.service_account_made_before(made, tenant_id)),
        )

    async def page(self, call: Call) -> Response:
        asked = call.query(Paging)
        tenant_id = call.principal.tenant_id
        listing = await self._do.service_accounts.page(tenant_id, asked.limit, asked.cursor)
        return json_response(page(listing, lambda account: views.service_account(account, tenant_id)))

    async def get(self, call: Call) -> Response:
        tenant_id = call.principal.tenant_id
        account = await self._do.service_accounts.get(tenant_id, _account_id(call))
        return json_response(views.service_account(account, tenant_id))

    async def update(self, call: Call) -> Response:
        asked = await call.json(views.ServiceAccountChange)
        account = await self._do.service_account_changes.update(
            call.principal,
            call.actor,
            _account_id(call),
            name=asked.name,
            scopes=asked.scopes,
            status=asked.status,
        )
        return json_response(views.service_account(account, call.principal.tenant_id))

    async def delete(self, call: Call) -> Response:
        await self._do.service_account_changes.delete(call.principal, call.actor, _account_id(call))
        return Response(204)

    def expire(self, kind: CredentialKind, parameter: str) -> Handler:
        async def handler(call: Call) -> Response:
            asked = await call.json(credential_views.Expiry)
            account = await self._do.service_account_changes.expire(
                call.principal, call.actor, _account_id(call), kind, call.params[parameter], asked.expires_at
            )
            return json_response(views.service_account(account, call.principal.tenant_id))

        return handler


def _account_id(call: Call) -> str:
    return call.params["service_account_id"]


def _created(view: object) -> Response:
    return json_response(view, 201, headers=NO_STORE)
