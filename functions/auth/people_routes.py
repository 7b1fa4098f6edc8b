"""The HTTP door to the people of a tenant: who I am, users, invitations."""

from functions.auth import views
from functions.auth.use_cases import UseCases
from shared.http import PUBLIC, SIGNED_IN, Call, Response, Route, json_response
from shared.http.pagination import Paging


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("POST", "/v1/auth/invitations/accept", on.accept, PUBLIC),
        Route("GET", "/v1/me", on.me, SIGNED_IN),
        Route("GET", "/v1/users", on.users, "users:read"),
        Route("GET", "/v1/users/{user_id}", on.user, "users:read"),
        Route("POST", "/v1/invitations", on.invite, "users:write"),
        Route("GET", "/v1/invitations", on.invitations, "users:read"),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases

    async def accept(self, call: Call) -> Response:
        asked = await call.json(views.AcceptRequest)
        user = await self._do.invitations.accept(asked.token, asked.password, asked.name, call.request_id)
        return json_response(views.user(user), 201)

    async def me(self, call: Call) -> Response:
        return json_response(views.me(call.principal))

    async def users(self, call: Call) -> Response:
        asked = call.query(Paging)
        listing = await self._do.users.page(call.principal.tenant_id, asked.limit, asked.cursor)
        return json_response(views.page(listing, views.user))

    async def user(self, call: Call) -> Response:
        user = await self._do.users.get(call.principal.tenant_id, call.params["user_id"])
        return json_response(views.user(user))

    async def invite(self, call: Call) -> Response:
        asked = await call.json(views.InvitationRequest)
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.invitations.invite(
                call.principal, call.actor, asked.email, asked.role, once
            ),
            lambda invitation: json_response(views.invitation(invitation, self._do.clock()), 201),
        )

    async def invitations(self, call: Call) -> Response:
        asked = call.query(Paging)
        listing = await self._do.invitations.page(call.principal.tenant_id, asked.limit, asked.cursor)
        now = self._do.clock()
        return json_response(views.page(listing, lambda invitation: views.invitation(invitation, now)))
