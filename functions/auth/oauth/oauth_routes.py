"""The HTTP door to OAuth 2 and OpenID Connect: a request becomes a use-case, its result an answer."""

from functions.auth.use_cases import UseCases
from shared.http import NO_STORE, PUBLIC, Call, Response, Route, json_response
from shared.identity import authorization

_FIVE_MINUTES = {"Cache-Control": "public, max-age=300"}


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("GET", "/.well-known/jwks.json", on.jwks, PUBLIC),
        Route("GET", "/.well-known/openid-configuration", on.metadata, PUBLIC),
        Route("GET", "/.well-known/oauth-authorization-server", on.metadata, PUBLIC),
        Route("POST", "/oauth2/token", on.token, PUBLIC, oauth=True),
        Route("POST", "/oauth2/introspect", on.introspect, PUBLIC, oauth=True),
        Route("POST", "/oauth2/revoke", on.revoke, PUBLIC, oauth=True),
        Route("GET", "/oauth2/userinfo", on.userinfo, "openid", oauth=True),
        Route("POST", "/oauth2/userinfo", on.userinfo, "openid", oauth=True),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def jwks(self, call: Call) -> Response:
        return Response(200, await self._do.keys.jwks(), headers=_FIVE_MINUTES)

    async def metadata(self, call: Call) -> Response:
        return Response(200, self._do.metadata, headers=_FIVE_MINUTES)

    async def token(self, call: Call) -> Response:
        form = await call.form()
        authorized = authorization(call.headers)
        tokens = await self._do.tokens.answer(form, authorized, call.request_id, call.client_ip)
        return json_response(tokens, headers=NO_STORE)

    async def introspect(self, call: Call) -> Response:
        form = await call.form()
        authorized = authorization(call.headers)
        said = await self._do.introspection.answer(form, authorized, call.request_id, call.client_ip)
        return json_response(said)

    async def revoke(self, call: Call) -> Response:
        form = await call.form()
        authorized = authorization(call.headers)
        await self._do.token_revocation.revoke(form, authorized, call.request_id, call.client_ip)
        return Response(200)

    async def userinfo(self, call: Call) -> Response:
        return json_response(await self._do.userinfo.of(call.principal))
