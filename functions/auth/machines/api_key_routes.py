"""The HTTP door to the API keys of a tenant, and to what a key is exchanged for."""

from functions.auth.machines import api_key_views as views
from functions.auth.use_cases import UseCases
from functions.auth.views import page
from shared.errors import BadRequest, Invalid
from shared.http import NO_STORE, PUBLIC, Call, Response, Route, json_response
from shared.http.pagination import Paging

HEADER = "x-api-key"

_ALL = "/v1/api-keys"
_ONE = f"{_ALL}/{{api_key_id}}"


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("POST", _ALL, on.create, "api_keys:write"),
        Route("GET", _ALL, on.page, "api_keys:read"),
        Route("GET", _ONE, on.get, "api_keys:read"),
        Route("PATCH", _ONE, on.update, "api_keys:write"),
        Route("DELETE", _ONE, on.revoke, "api_keys:write"),
        Route("POST", "/v1/auth/api-keys/token", on.exchange, PUBLIC),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def create(self, call: Call) -> Response:
        asked = await call.json(views.ApiKeyRequest)
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.api_keys.create(
                call.principal,
                call.actor,
                asked.name,
                asked.scopes,
                ip_ranges=asked.ip_ranges,
                not_before=asked.not_before,
                expires_at=asked.expires_at,
                once=once,
            ),
            show=lambda made: json_response(views.made(made), 201, headers=NO_STORE),
            keep=lambda made: json_response(views.made_before(made), 201, headers=NO_STORE),
        )

    async def page(self, call: Call) -> Response:
        asked = call.query(Paging)
        listing = await self._do.api_keys.page(call.principal.tenant_id, asked.limit, asked.cursor)
        at = self._do.clock()
        return json_response(page(listing, lambda key: views.shown(key, at)))

    async def get(self, call: Call) -> Response:
        key = await self._do.api_keys.get(call.principal.tenant_id, call.params["api_key_id"])
        return json_response(views.shown(key, self._do.clock()))

    async def update(self, call: Call) -> Response:
        asked = await call.json(views.ApiKeyChange)
        key = await self._do.api_keys.update(
            call.principal,
            call.actor,
            call.params["api_key_id"],
            name=asked.name,
            ip_ranges=asked.ip_ranges,
            expires_at=asked.expires_at,
        )
        return json_response(views.shown(key, self._do.clock()))

    async def revoke(self, call: Call) -> Response:
        await self._do.api_keys.revoke(call.principal, call.actor, call.params["api_key_id"])
        return Response(204)

    async def exchange(self, call: Call) -> Response:
        _require_no_query(call)
        in_header = call.headers.get(HEADER)
        has_body = in_header is None or await call.body()
        asked = await call.json(views.ExchangeRequest) if has_body else views.ExchangeRequest()
        if (in_header is None) == (asked.api_key is None):
            detail = "Send the key once: as api_key in the body, or in the header X-Api-Key."
            raise BadRequest("one_api_key", detail)
        text = in_header or asked.api_key or ""
        tokens = await self._do.api_key_exchange.token(text, call.client_ip, asked.scope, call.request_id)
        return json_response(tokens, headers=NO_STORE)


def _require_no_query(call: Call) -> None:
    """Addresses are written down by every proxy, so a key that was in one is known."""
    try:
        call.query(views.NoQuery)
    except (Invalid, BadRequest):
        detail = (
            "This address takes no parameters. Send the key in the body or in the header X-Api-Key, and"
            " revoke a key that was sent in an address."
        )
        raise BadRequest("query_not_allowed", detail) from None
