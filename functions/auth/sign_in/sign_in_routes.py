"""The HTTP door to signing in and out, without pages."""

from functions.auth import views
from functions.auth.sign_in.failed_sign_ins import Source
from functions.auth.use_cases import UseCases
from shared.http import NO_STORE, PUBLIC, SIGNED_IN, Call, Response, Route, json_response


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("POST", "/v1/auth/login", on.login, PUBLIC),
        Route("POST", "/v1/auth/logout", on.logout, SIGNED_IN, enrolling=True),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def login(self, call: Call) -> Response:
        asked = await call.json(views.LoginRequest)
        source = Source(
            call.client_ip, asked.device_token, call.headers.get("user-agent", ""), call.request_id
        )
        signed_in = await self._do.sign_in.login(
            asked.tenant, asked.email, asked.password, source, remember=asked.remember_device
        )
        return json_response(views.signed_in(signed_in), headers=NO_STORE)

    async def logout(self, call: Call) -> Response:
        await self._do.session_end.logout(call.principal, call.actor)
        return Response(204)
