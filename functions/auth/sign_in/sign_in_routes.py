"""The HTTP door to signing in and out, without pages, and to proving once more who one is."""

from functions.auth.guessing.source import source_of
from functions.auth.sign_in import sign_in_views as views
from functions.auth.use_cases import UseCases
from shared.http import NO_STORE, PUBLIC, SIGNED_IN, Call, Response, Route, json_response


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("POST", "/v1/auth/login", on.login, PUBLIC),
        Route("POST", "/v1/auth/login/second-factor", on.second_factor, PUBLIC),
        Route("POST", "/v1/auth/passkeys/login/options", on.passkey_options, PUBLIC),
        Route("POST", "/v1/auth/passkeys/login", on.passkey, PUBLIC),
        Route("POST", "/v1/auth/step-up/options", on.step_up_options, SIGNED_IN, enrolling=True),
        Route("POST", "/v1/auth/step-up", on.step_up, SIGNED_IN, enrolling=True),
        Route("POST", "/v1/auth/logout", on.logout, SIGNED_IN, enrolling=True),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def login(self, call: Call) -> Response:
        asked = await call.json(views.LoginRequest)
        source = source_of(call, asked.device_token)
        signed_in = await self._do.sign_in.login(
            asked.tenant, asked.email, asked.password, source, remember=asked.remember_device
        )
        return json_response(views.signed_in(signed_in), headers=NO_STORE)

    async def second_factor(self, call: Call) -> Response:
        asked = await call.json(views.SecondFactorRequest)
        source = source_of(call, asked.device_token)
        answer = views.answer(asked)
        signed_in = await self._do.sign_in.finish(
            asked.challenge, answer, source, remember=asked.remember_device
        )
        return json_response(views.signed_in(signed_in), headers=NO_STORE)

    async def passkey_options(self, call: Call) -> Response:
        asked = await call.json(views.PasskeyOptionsRequest)
        options = await self._do.passkey_sign_in.options(asked.tenant)
        return json_response({"public_key": options}, headers=NO_STORE)

    async def passkey(self, call: Call) -> Response:
        asked = await call.json(views.PasskeyLoginRequest)
        source = source_of(call, asked.device_token)
        signed_in = await self._do.passkey_sign_in.login(
            asked.tenant, asked.credential, source, remember=asked.remember_device
        )
        return json_response(views.signed_in(signed_in), headers=NO_STORE)

    async def step_up_options(self, call: Call) -> Response:
        return json_response(await self._do.step_up.options(call.principal), headers=NO_STORE)

    async def step_up(self, call: Call) -> Response:
        asked = await call.json(views.StepUpRequest)
        if asked.password is None:
            answer = views.answer(asked)
            tokens = await self._do.step_up.by_factor(call.principal, call.actor, answer)
        elif asked.totp is not None or asked.passkey is not None:
            raise views.not_one()
        else:
            tokens = await self._do.step_up.by_password(
                call.principal, call.actor, asked.password, source_of(call)
            )
        return json_response(tokens, headers=NO_STORE)

    async def logout(self, call: Call) -> Response:
        await self._do.session_end.logout(call.principal, call.actor)
        return Response(204)
