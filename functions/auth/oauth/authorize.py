"""The authorization endpoint (RFC 6749 §3.1): a client sends a browser, and gets it back with an answer."""

import msgspec

from functions.auth import records
from functions.auth.domain import authorization_request as rules
from functions.auth.domain import oauth_client
from functions.auth.domain.authorization_request import Addressee, AuthorizationRequest, Pairs
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.oauth.authorization_codes import AuthorizationCodes
from functions.auth.oauth.oauth_clients import OAuthClients
from functions.auth.records import Found
from functions.auth.sessions.browser_sessions import BrowserSessions
from shared import tenant
from shared.errors import BadRequest, OAuthError
from shared.ids import Clock
from shared.store import Store, until_not_stale
from shared.tenant import Tenant


class Redirect(msgspec.Struct, frozen=True):
    """Back to the client, with a code or an error."""

    uri: str


class SignInNeeded(msgspec.Struct, frozen=True):
    """The person has to sign in first. `slug` and `organisation` name the tenant that the client is of."""

    request: AuthorizationRequest
    client_name: str
    slug: str
    organisation: str


class Authorize:
    """A client belongs to the tenant of the people who sign in to it, so nobody is asked for consent."""

    def __init__(
        self,
        store: Store,
        clients: OAuthClients,
        browser_sessions: BrowserSessions,
        codes: AuthorizationCodes,
        issuer: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._clients = clients
        self._browser_sessions = browser_sessions
        self._codes = codes
        self._issuer = issuer
        self._clock = clock

    async def begin(self, pairs: Pairs, cookie: str | None) -> Redirect | SignInNeeded:
        """`pairs` are the request's parameters as they came, `cookie` is that of the browser's session.

        Errors go back to the client in the redirect. Only an unknown client or a redirect URI that is not
        registered raises `BadRequest`, which is shown on a page: nothing may be sent to that address.
        """
        to = rules.addressee(pairs)
        client = await self._client(to)
        try:
            request = rules.read(pairs, to, (self._issuer, *client.value.resources))
            oauth_client.scopes_for(client.value, client.value.scopes, request.scope)
            if "authorization_code" not in client.value.grant_types:
                raise oauth_client.unregistered_grant()
        except OAuthError as refusal:
            return self._refused(to.redirect_uri, rules.state_of(pairs), refusal)
        return await self._go_on(request, cookie, fresh=False)

    async def go_on(self, request: AuthorizationRequest, cookie: str) -> Redirect | SignInNeeded:
        """Continues after a sign-in for this very request, so the age of the sign-in is not checked again.

        Raises `BadRequest` as `begin` does.
        """
        return await self._go_on(request, cookie, fresh=True)

    async def page_of(self, request: AuthorizationRequest) -> SignInNeeded:
        """What the sign-in page shows, for showing it again. Raises `BadRequest` where the client is gone."""
        client = await self._client(Addressee(request.client_id, request.redirect_uri))
        return await self._sign_in(client.value, request)

    async def _go_on(
        self, request: AuthorizationRequest, cookie: str | None, *, fresh: bool
    ) -> Redirect | SignInNeeded:
        async def attempt() -> Redirect | SignInNeeded:
            client = await self._client(Addressee(request.client_id, request.redirect_uri))
            signed_in = await self._browser_sessions.find(cookie)
            if signed_in is None or signed_in.owner.value.id != client.value.tenant_id:
                return await self._not_yet(client.value, request)
            session = signed_in.session.value
            unmet = rules.unmet(request, session.user_id, session.amr)
            if fresh and unmet is not None:
                return self._refused(request.redirect_uri, request.state, unmet)
            is_old = rules.must_sign_in(request, session.authenticated_at, self._clock())
            if not fresh and (is_old or unmet is not None):
                return await self._not_yet(client.value, request)
            try:
                code = await self._codes.issue(client, request, signed_in)
            except OAuthError as refusal:
                return self._refused(request.redirect_uri, request.state, refusal)
            return Redirect(rules.answer(request.redirect_uri, self._issuer, request.state, code=code))

        return await until_not_stale(attempt)

    async def _not_yet(self, client: OAuthClient, request: AuthorizationRequest) -> Redirect | SignInNeeded:
        if request.is_silent:
            refusal = OAuthError(
                400, "login_required", "Nobody is signed in, or too long ago. Ask again without prompt=none."
            )
            return self._refused(request.redirect_uri, request.state, refusal)
        return await self._sign_in(client, request)

    async def _sign_in(self, client: OAuthClient, request: AuthorizationRequest) -> SignInNeeded:
        owner = await records.read(self._store, tenant.key(self._store, client.tenant_id), Tenant)
        if owner is None:
            raise _unknown_client()
        return SignInNeeded(request, client.name, owner.value.slug, owner.value.name)

    async def _client(self, to: Addressee) -> Found[OAuthClient]:
        """The client. Raises `BadRequest` if it is unknown, or not registered with this redirect URI."""
        found = await self._clients.find(to.client_id)
        if found is None:
            raise _unknown_client()
        if not oauth_client.redirects_to(found.value, to.redirect_uri):
            detail = (
                "The application wants its answer at an address it has not registered. Tell whoever runs it."
            )
            raise BadRequest("invalid_redirect_uri", detail)
        return found

    def _refused(self, redirect_uri: str, state: str | None, refusal: OAuthError) -> Redirect:
        description = refusal.detail
        uri = rules.answer(
            redirect_uri, self._issuer, state, error=refusal.code, error_description=description
        )
        return Redirect(uri)


def _unknown_client() -> BadRequest:
    return BadRequest("unknown_client", "There is no such application. Tell whoever sent you here.")
