"""The HTTP door to the people of a tenant: users, their sessions, invitations."""

from msgspec import UNSET

from functions.auth.people import people_views as views
from functions.auth.people.users import Wanted
from functions.auth.use_cases import UseCases
from functions.auth.views import page
from shared.http import PUBLIC, Call, Response, Route, json_response
from shared.http.pagination import Paging

_USER = "/v1/users/{user_id}"
_INVITATION = "/v1/invitations/{invitation_id}"


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on, invited = _Users(use_cases), _Invitations(use_cases)
    return (
        Route("GET", "/v1/users", on.page, "users:read"),
        Route("GET", _USER, on.get, "users:read"),
        Route("PATCH", _USER, on.change, "users:write"),
        Route("DELETE", _USER, on.delete, "users:write"),
        Route("POST", f"{_USER}/disable", on.disable, "users:write"),
        Route("POST", f"{_USER}/enable", on.enable, "users:write"),
        Route("GET", f"{_USER}/sessions", on.sessions, "sessions:read"),
        Route("DELETE", f"{_USER}/sessions", on.end_sessions, "sessions:write"),
        Route("DELETE", f"{_USER}/sessions/{{session_id}}", on.end_session, "sessions:write"),
        Route("POST", "/v1/auth/invitations/accept", invited.accept, PUBLIC),
        Route("POST", "/v1/invitations", invited.create, "users:write"),
        Route("GET", "/v1/invitations", invited.page, "users:read"),
        Route("GET", _INVITATION, invited.get, "users:read"),
        Route("DELETE", _INVITATION, invited.revoke, "users:write"),
        Route("POST", f"{_INVITATION}/resend", invited.resend, "users:write"),
    )


class _Users:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def page(self, call: Call) -> Response:
        asked = call.query(views.UsersQuery)
        wanted = Wanted(asked.status, asked.role, asked.email)
        listing = await self._do.users.page(call.principal.tenant_id, asked.limit, asked.cursor, wanted)
        return json_response(page(listing, views.user))

    async def get(self, call: Call) -> Response:
        user = await self._do.users.get(call.principal.tenant_id, call.params["user_id"])
        return json_response(views.user(user))

    async def change(self, call: Call) -> Response:
        asked = await call.json(views.UserChangeRequest)
        name = None if asked.name is UNSET else asked.name
        role = None if asked.role is UNSET else asked.role
        changes = self._do.user_changes
        user = await changes.change(call.principal, call.actor, call.params["user_id"], name, role)
        return json_response(views.user(user))

    async def delete(self, call: Call) -> Response:
        await self._do.user_changes.delete(call.principal, call.actor, call.params["user_id"])
        return Response(204)

    async def disable(self, call: Call) -> Response:
        user = await self._do.user_changes.disable(call.principal, call.actor, call.params["user_id"])
        return json_response(views.user(user))

    async def enable(self, call: Call) -> Response:
        user = await self._do.user_changes.enable(call.principal, call.actor, call.params["user_id"])
        return json_response(views.user(user))

    async def sessions(self, call: Call) -> Response:
        asked, caller = call.query(Paging), call.principal
        listing = await self._do.user_sessions.page(
            caller.tenant_id, call.params["user_id"], asked.limit, asked.cursor
        )
        shown = page(listing, lambda session: views.session(session, caller.session_id))
        return json_response(shown)

    async def end_sessions(self, call: Call) -> Response:
        await self._do.user_sessions.end_all_of(call.principal, call.actor, call.params["user_id"])
        return Response(204)

    async def end_session(self, call: Call) -> Response:
        await self._do.user_sessions.end_one_of(
            call.principal, call.actor, call.params["user_id"], call.params["session_id"]
        )
        return Response(204)


class _Invitations:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def accept(self, call: Call) -> Response:
        asked = await call.json(views.AcceptRequest)
        user = await self._do.invitations.accept(
            asked.token, asked.password, asked.name, call.request_id, call.client_ip
        )
        return json_response(views.user(user), 201)

    async def create(self, call: Call) -> Response:
        asked = await call.json(views.InvitationRequest)
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.invitations.invite(
                call.principal, call.actor, asked.email, asked.role, once
            ),
            lambda invitation: json_response(views.invitation(invitation, self._do.clock()), 201),
        )

    async def page(self, call: Call) -> Response:
        asked = call.query(Paging)
        listing = await self._do.invitations.page(call.principal.tenant_id, asked.limit, asked.cursor)
        now = self._do.clock()
        return json_response(page(listing, lambda invitation: views.invitation(invitation, now)))

    async def get(self, call: Call) -> Response:
        tenant_id, invitation_id = call.principal.tenant_id, call.params["invitation_id"]
        invitation = await self._do.invitations.get(tenant_id, invitation_id)
        return json_response(views.invitation(invitation, self._do.clock()))

    async def revoke(self, call: Call) -> Response:
        await self._do.invitations.revoke(call.principal, call.actor, call.params["invitation_id"])
        return Response(204)

    async def resend(self, call: Call) -> Response:
        invitation = await self._do.invitations.resend(
            call.principal, call.actor, call.params["invitation_id"]
        )
        return json_response(views.invitation(invitation, self._do.clock()))
