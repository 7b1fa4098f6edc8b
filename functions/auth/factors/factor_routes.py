"""The HTTP door to second factors: one's own, others', and what a tenant asks for."""

from functions.auth.domain.security_policy import SecurityPolicy
from functions.auth.factors import factor_views
from functions.auth.use_cases import UseCases
from shared.http import NO_STORE, SIGNED_IN, Call, Response, Route, json_response

_MINE = "/v1/me/factors"


def table(use_cases: UseCases) -> tuple[Route, ...]:
    mine, tenants = _Mine(use_cases), _Tenants(use_cases)
    return (
        Route("GET", _MINE, mine.list, SIGNED_IN, enrolling=True),
        Route("POST", f"{_MINE}/totp", mine.begin_totp, SIGNED_IN, enrolling=True),
        Route("POST", f"{_MINE}/totp/confirm", mine.confirm_totp, SIGNED_IN, enrolling=True),
        Route("DELETE", f"{_MINE}/totp", mine.remove_totp, SIGNED_IN, enrolling=True),
        Route("POST", f"{_MINE}/recovery-codes", mine.replace_recovery_codes, SIGNED_IN),
        Route("POST", f"{_MINE}/passkeys/options", mine.passkey_options, SIGNED_IN, enrolling=True),
        Route("POST", f"{_MINE}/passkeys", mine.add_passkey, SIGNED_IN, enrolling=True),
        Route("PATCH", f"{_MINE}/passkeys/{{passkey_id}}", mine.rename_passkey, SIGNED_IN),
        Route("DELETE", f"{_MINE}/passkeys/{{passkey_id}}", mine.remove_passkey, SIGNED_IN),
        Route("DELETE", "/v1/users/{user_id}/factors", tenants.reset, "users:write"),
        Route("GET", "/v1/security-policy", tenants.policy, "security:read"),
        Route("PUT", "/v1/security-policy", tenants.replace_policy, "security:write"),
    )


class _Mine:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def list(self, call: Call) -> Response:
        return json_response(factor_views.factors(await self._do.recovery_codes.factors(call.principal)))

    async def begin_totp(self, call: Call) -> Response:
        return json_response(await self._do.totp.begin(call.principal, call.actor), headers=NO_STORE)

    async def confirm_totp(self, call: Call) -> Response:
        asked = await call.json(factor_views.TotpCodeRequest)
        after = await self._do.totp.confirm(call.principal, call.actor, asked.code)
        return json_response(factor_views.factors(after))

    async def remove_totp(self, call: Call) -> Response:
        await self._do.totp.remove(call.principal, call.actor)
        return Response(204)

    async def replace_recovery_codes(self, call: Call) -> Response:
        codes = await self._do.recovery_codes.replace(call.principal, call.actor)
        return json_response(factor_views.NewRecoveryCodesView(codes), headers=NO_STORE)

    async def passkey_options(self, call: Call) -> Response:
        options = await self._do.passkeys.options(call.principal)
        return json_response({"public_key": options}, headers=NO_STORE)

    async def add_passkey(self, call: Call) -> Response:
        asked = await call.json(factor_views.PasskeyRequest)
        made = await self._do.passkeys.register(call.principal, call.actor, asked.name, asked.credential)
        return json_response(factor_views.passkey(made), 201)

    async def rename_passkey(self, call: Call) -> Response:
        asked = await call.json(factor_views.PasskeyNameRequest)
        passkey_id = call.params["passkey_id"]
        renamed = await self._do.passkeys.rename(call.principal, call.actor, passkey_id, asked.name)
        return json_response(factor_views.passkey(renamed))

    async def remove_passkey(self, call: Call) -> Response:
        await self._do.passkeys.remove(call.principal, call.actor, call.params["passkey_id"])
        return Response(204)


class _Tenants:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def reset(self, call: Call) -> Response:
        await self._do.factor_reset.reset(call.principal, call.actor, call.params["user_id"])
        return Response(204)

    async def policy(self, call: Call) -> Response:
        return json_response(await self._do.tenant_security.policy(call.principal.tenant_id))

    async def replace_policy(self, call: Call) -> Response:
        asked = await call.json(factor_views.PolicyRequest)
        wanted = SecurityPolicy(asked.second_factor, tuple(asked.methods))
        return json_response(await self._do.tenant_security.replace(call.principal, call.actor, wanted))
