"""The HTTP door to one's own: who I am, my profile, sessions, password and address."""

from functions.auth.guessing.source import source_of
from functions.auth.people import people_views as views
from functions.auth.use_cases import UseCases
from functions.auth.views import page
from shared.http import PUBLIC, SIGNED_IN, Call, Response, Route, json_response
from shared.http.pagination import Paging

_ACCEPTED = Response(202, b"{}")
"""Says nothing, whoever asks."""


def table(use_cases: UseCases) -> tuple[Route, ...]:
    me, password = _Me(use_cases), _Password(use_cases)
    return (
        Route("GET", "/v1/me", me.get, SIGNED_IN),
        Route("GET", "/v1/me/profile", me.profile, SIGNED_IN),
        Route("PATCH", "/v1/me/profile", me.rename, SIGNED_IN),
        Route("POST", "/v1/me/email", me.change_email, SIGNED_IN),
        Route("GET", "/v1/me/sessions", me.sessions, SIGNED_IN),
        Route("DELETE", "/v1/me/sessions", me.end_others, SIGNED_IN),
        Route("DELETE", "/v1/me/sessions/{session_id}", me.end_session, SIGNED_IN),
        Route("POST", "/v1/auth/email/verify", me.verify_email, PUBLIC),
        Route("POST", "/v1/auth/password/forgot", password.forgot, PUBLIC),
        Route("POST", "/v1/auth/password/reset", password.reset, PUBLIC),
        Route("POST", "/v1/auth/password/change", password.change, SIGNED_IN),
    )


class _Me:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def get(self, call: Call) -> Response:
        return json_response(views.me(call.principal))

    async def profile(self, call: Call) -> Response:
        return json_response(views.user(await self._do.profile.get(call.principal)))

    async def rename(self, call: Call) -> Response:
        asked = await call.json(views.ProfileRequest)
        return json_response(
            views.user(await self._do.profile.rename(call.principal, call.actor, asked.name))
        )

    async def change_email(self, call: Call) -> Response:
        asked = await call.json(views.EmailChangeRequest)
        source = source_of(call, asked.device_token)
        await self._do.email_changes.request(call.principal, call.actor, asked.email, asked.password, source)
        return _ACCEPTED

    async def verify_email(self, call: Call) -> Response:
        asked = await call.json(views.VerifyRequest)
        await self._do.email_changes.confirm(asked.token, call.request_id, call.client_ip)
        return Response(204)

    async def sessions(self, call: Call) -> Response:
        asked, caller = call.query(Paging), call.principal
        listing = await self._do.user_sessions.own_page(caller, asked.limit, asked.cursor)
        shown = page(listing, lambda session: views.session(session, caller.session_id))
        return json_response(shown)

    async def end_others(self, call: Call) -> Response:
        await self._do.user_sessions.end_others(call.principal, call.actor)
        return Response(204)

    async def end_session(self, call: Call) -> Response:
        await self._do.user_sessions.end_own(call.principal, call.actor, call.params["session_id"])
        return Response(204)


class _Password:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def forgot(self, call: Call) -> Response:
        asked = await call.json(views.ForgotRequest)
        await self._do.throttle.spend(asked.tenant, source_of(call))
        await self._do.password_changes.forgot(asked.tenant, asked.email)
        return _ACCEPTED

    async def reset(self, call: Call) -> Response:
        asked = await call.json(views.ResetRequest)
        await self._do.password_changes.reset(asked.token, asked.password, call.request_id, call.client_ip)
        return Response(204)

    async def change(self, call: Call) -> Response:
        asked = await call.json(views.PasswordChangeRequest)
        await self._do.password_changes.change(
            call.principal,
            call.actor,
            asked.current_password,
            asked.new_password,
            source_of(call, asked.device_token),
            keep_other_sessions=asked.keep_other_sessions,
        )
        return Response(204)
