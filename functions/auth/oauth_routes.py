"""The HTTP door to OAuth 2 and OpenID Connect: a request becomes a use-case, its result an answer."""

from functions.auth import discovery
from functions.auth.use_cases import UseCases
from shared.http import NO_STORE, PUBLIC, Call, Response, Route, json_response
from shared.identity import authorization

_FIVE_MINUTES = {"Cache-Control": "public, max-age=300"}


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("GET", "/.well-known/jwks.json", on.jwks, PUBLIC),
        Route("GET", "/.well-known/openid-configuration", on.metadata, PUBLIC),
        Route("POST", "/oauth2/token", on.token, PUBLIC, oauth=True),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases
        self._metadata = Response(200, discovery.metadata(use_cases.issuer), headers=_FIVE_MINUTES)

    async def jwks(self, call: Call) -> Response:
        return Response(200, await self._do.keys.jwks(), headers=_FIVE_MINUTES)

    async def metadata(self, call: Call) -> Response:
        return self._metadata

    async def token(self, call: Call) -> Response:
        form = await call.form()
        tokens = await self._do.tokens.answer(form, authorization(call.headers), call.request_id)
        return json_response(tokens, headers=NO_STORE)
