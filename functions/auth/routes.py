"""The HTTP door of auth: a request becomes a use-case, its result an answer."""

import msgspec

from functions.auth import views
from functions.auth.invitations import Invitations
from functions.auth.oauth import TokenEndpoint
from functions.auth.service_accounts import ServiceAccounts
from functions.auth.sessions import Sessions
from functions.auth.sign_in import SignIn
from functions.auth.users import Users
from shared.http import PUBLIC, SIGNED_IN, Call, Response, Route, json_response
from shared.http.idempotency import Idempotency
from shared.http.pagination import Paging
from shared.identity import authorization
from shared.ids import Clock

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_FIVE_MINUTES = {"Cache-Control": "public, max-age=300"}


class UseCases(msgspec.Struct, frozen=True):
    """What the routes lead to. `jwks` and `metadata` are JSON as it is published."""

    sign_in: SignIn
    sessions: Sessions
    tokens: TokenEndpoint
    invitations: Invitations
    users: Users
    service_accounts: ServiceAccounts
    jwks: bytes
    metadata: bytes
    idempotency: Idempotency
    clock: Clock


def table(use_cases: UseCases) -> tuple[Route, ...]:
    on = _Handlers(use_cases)
    return (
        Route("GET", "/.well-known/jwks.json", on.jwks, PUBLIC),
        Route("GET", "/.well-known/openid-configuration", on.metadata, PUBLIC),
        Route("POST", "/v1/auth/login", on.login, PUBLIC),
        Route("POST", "/oauth2/token", on.token, PUBLIC, oauth=True),
        Route("POST", "/v1/auth/logout", on.logout, SIGNED_IN),
        Route("POST", "/v1/auth/invitations/accept", on.accept, PUBLIC),
        Route("GET", "/v1/me", on.me, SIGNED_IN),
        Route("GET", "/v1/users", on.users, "users:read"),
        Route("GET", "/v1/users/{user_id}", on.user, "users:read"),
        Route("POST", "/v1/invitations", on.invite, "users:write"),
        Route("GET", "/v1/invitations", on.invitations, "users:read"),
        Route("POST", "/v1/service-accounts", on.create_service_account, "service_accounts:write"),
        Route("GET", "/v1/service-accounts", on.service_accounts, "service_accounts:read"),
    )


class _Handlers:
    def __init__(self, use_cases: UseCases) -> None:
        self._do = use_cases
        self._jwks = Response(200, use_cases.jwks, headers=_FIVE_MINUTES)
        self._metadata = Response(200, use_cases.metadata, headers=_FIVE_MINUTES)

    async def jwks(self, call: Call) -> Response:
        return self._jwks

    async def metadata(self, call: Call) -> Response:
        return self._metadata

    async def login(self, call: Call) -> Response:
        asked = await call.json(views.LoginRequest)
        tokens = await self._do.sign_in.login(asked.tenant, asked.email, asked.password, call.request_id)
        return json_response(tokens, headers=_NO_STORE)

    async def token(self, call: Call) -> Response:
        form = await call.form()
        tokens = await self._do.tokens.answer(form, authorization(call.headers), call.request_id)
        return json_response(tokens, headers=_NO_STORE)

    async def logout(self, call: Call) -> Response:
        await self._do.sessions.logout(call.principal, call.actor)
        return Response(204)

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

    async def create_service_account(self, call: Call) -> Response:
        asked = await call.json(views.ServiceAccountRequest)
        tenant_id = call.principal.tenant_id
        return await self._do.idempotency.answer(
            call,
            lambda once: self._do.service_accounts.create(
                call.principal, call.actor, asked.name, asked.scopes, once
            ),
            show=lambda made: _made(views.service_account_made(made, tenant_id)),
            keep=lambda made: _made(views.service_account_made_before(made, tenant_id)),
        )

    async def service_accounts(self, call: Call) -> Response:
        asked = call.query(Paging)
        tenant_id = call.principal.tenant_id
        listing = await self._do.service_accounts.page(tenant_id, asked.limit, asked.cursor)
        return json_response(views.page(listing, lambda account: views.service_account(account, tenant_id)))


def _made(view: msgspec.Struct) -> Response:
    return json_response(view, 201, headers=_NO_STORE)
