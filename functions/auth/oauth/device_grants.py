"""The device flow (RFC 8628): a device asks, a person decides in a browser, the device gets its tokens."""

import contextlib
import os
from collections.abc import Mapping
from functools import partial

import msgspec

from functions.auth import records
from functions.auth.domain import authorization_request, oauth_client, user_code
from functions.auth.domain import device_code as rules
from functions.auth.domain.browser_cookie import BrowserCookie
from functions.auth.domain.device_code import DeviceCode, DeviceCodes, DeviceGrant
from functions.auth.domain.oauth_client import DEVICE_CODE, OAuthClient
from functions.auth.domain.session import Session
from functions.auth.guessing.buckets import Buckets
from functions.auth.guessing.source import Source
from functions.auth.guessing.throttle import PER_ADDRESS, prefix
from functions.auth.keyring.keys import KeyRoom
from functions.auth.oauth.client_authentication import AuthenticatedClient
from functions.auth.oauth.client_sessions import Allowed, ClientSessions, invalid_grant
from functions.auth.oauth.device_limits import GuessLimit, PollPace
from functions.auth.oauth.grants import audience_of
from functions.auth.oauth.oauth_clients import OAuthClients
from functions.auth.oauth.tokens import Tokens
from functions.auth.records import Found
from functions.auth.roles.roles_of_tenant import Roles
from functions.auth.sessions.browser_sessions import BrowserSessions, SignedIn
from functions.auth.sessions.session_start import Proof
from shared import audit
from shared.audit import Actor
from shared.errors import NotFound, OAuthError, TooManyRequests, Unauthenticated
from shared.ids import Clock
from shared.store import AlreadyExists, Store, Write, until_not_stale

_RANDOM_BYTES = 16


class DeviceAuthorization(msgspec.Struct, frozen=True):
    """The answer to the device's request (§3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class Wish(msgspec.Struct, frozen=True):
    """What a person is asked to allow. `scopes` are those that this person can give."""

    user_code: str
    grant: Found[DeviceGrant]
    client: Found[OAuthClient]
    scopes: tuple[str, ...]


class DeviceGrants:
    def __init__(
        self,
        store: Store,
        keys: KeyRoom,
        clients: OAuthClients,
        roles: Roles,
        browser_sessions: BrowserSessions,
        client_sessions: ClientSessions,
        issuer: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keys = keys
        self._clients = clients
        self._roles = roles
        self._browser_sessions = browser_sessions
        self._client_sessions = client_sessions
        self._issuer = issuer
        self._clock = clock
        self._polls = PollPace()
        self._guesses = GuessLimit()
        self._asked_from = Buckets(PER_ADDRESS, clock)

    async def ask(
        self, client: AuthenticatedClient, form: Mapping[str, str], address: str
    ) -> DeviceAuthorization:
        """Starts a device grant. Each is a document, and anybody can name a public client, so a public client
        is limited per address.

        Raises `OAuthError` `unauthorized_client`, `invalid_scope`, `invalid_target`; `TooManyRequests`.
        """
        known = client.client
        if known is None or DEVICE_CODE not in known.grant_types:
            raise oauth_client.unregistered_grant()
        resource = audience_of(client, form, self._issuer)
        scope = authorization_request.api_scope(form.get("scope"))
        scopes = oauth_client.scopes_for(known, known.scopes, scope)
        wait = self._asked_from.take(prefix(address)) if client.method == "none" else 0
        if wait:
            detail = "Too many devices asked from here. Wait a little, then try again."
            raise TooManyRequests("too_many_devices", detail, headers={"Retry-After": str(wait)})
        while True:
            code = user_code.new()
            with contextlib.suppress(AlreadyExists):
                return await self._asked(client, code, scopes, resource)

    async def _asked(
        self, client: AuthenticatedClient, code: str, scopes: tuple[str, ...], resource: str | None
    ) -> DeviceAuthorization:
        grant_id = user_code.document_id(client.tenant_id, code)
        device_code = (await self._codes()).text(
            DeviceCode(client.tenant_id, grant_id), os.urandom(_RANDOM_BYTES)
        )
        grant = rules.ask(client.client_id, scopes, device_code, self._clock(), resource)
        key = records.device_code_key(self._store, client.tenant_id, grant_id)
        await self._store.commit(records.create(key, grant))
        page, shown = f"{self._issuer}/device", user_code.shown(code)
        return DeviceAuthorization(
            device_code=device_code,
            user_code=shown,
            verification_uri=page,
            verification_uri_complete=f"{page}?user_code={shown}",
            expires_in=int(rules.LIFETIME.total_seconds()),
            interval=rules.INTERVAL_SECONDS,
        )

    async def look(self, signed_in: SignedIn, typed: str) -> Wish:
        """What the device with the typed code asks for. A code of another tenant is unknown here.

        Raises `NotFound` `unknown_user_code`; `TooManyRequests` after ten wrong codes.
        """
        person, now = signed_in.user.value.id, self._clock()
        if self._guesses.is_reached(person, now):
            raise TooManyRequests("too_many_codes", "Too many wrong codes. Wait ten minutes.")
        code = user_code.typed(typed)
        self._guesses.add(person, now)  # before it is looked up: others may come meanwhile
        wish = None if code is None else await self._wish(signed_in, code)
        if wish is None:
            raise _unknown_code()
        self._guesses.take_back(person)
        return wish

    async def decide(
        self, cookie: str | None, session_id: str, code: str, source: Source, *, allow: bool
    ) -> None:
        """Records the person's decision, which cannot be changed. `session_id` is the browser session in
        which the question was shown.

        Raises `NotFound` `unknown_user_code`; `Unauthenticated` if that session is not the present one.
        """

        async def attempt() -> None:
            signed_in = await self._browser_sessions.find(cookie)
            if signed_in is None or signed_in.session.value.id != session_id:
                raise Unauthenticated("signed_out", "Sign in again, then type the code once more.")
            wish = await self._wish(signed_in, code)
            if wish is None:
                raise _unknown_code()
            tenant_id, person = signed_in.owner.value.id, signed_in.user.value.id
            decided = rules.decide(
                wish.grant.value, person, signed_in.session.value, wish.scopes, allow=allow
            )
            recorded = audit.record(
                self._store,
                tenant_id,
                actor=Actor("user", person, tenant_id, source.request_id, source.ip),
                action="device.allow" if allow else "device.deny",
                target=decided.client_id,
                at=self._clock(),
                detail={"scopes": " ".join(wish.scopes)},
            )
            await self._store.commit(
                recorded, wish.grant.replace(decided), wish.client.check(), *signed_in.checks()
            )

        await until_not_stale(attempt)

    async def redeem(self, client: AuthenticatedClient, form: Mapping[str, str], request_id: str) -> Tokens:
        """Exchanges a device code for tokens, once, after somebody has allowed it (§3.4).

        Raises `OAuthError` with the codes of §3.5 and `invalid_grant`.
        """
        text = form.get("device_code")
        if text is None:
            raise OAuthError(400, "invalid_request", "Give device_code.")
        code = (await self._codes()).read(text)
        if code is None or code.tenant_id != client.tenant_id:
            raise _refused()
        if self._polls.is_too_early(code.grant_id, self._clock()):
            raise OAuthError(400, "slow_down", "Wait five seconds longer between two polls from now on.")
        return await until_not_stale(partial(self._redeem, client, code, text, request_id))

    async def _redeem(
        self, client: AuthenticatedClient, code: DeviceCode, text: str, request_id: str
    ) -> Tokens:
        key = records.device_code_key(self._store, code.tenant_id, code.grant_id)
        found = await records.read(self._store, key, DeviceGrant)
        if found is None or not rules.is_of(found.value, text, client.client_id):
            raise _refused()
        grant = found.value
        if grant.session_id is not None:
            await self._client_sessions.end_reused(
                code.tenant_id, grant.session_id, "device_code", request_id
            )
        proven_at = rules.require_allowed(grant, self._clock())
        signed_in = await self._browser_sessions.of(
            BrowserCookie(code.tenant_id, grant.user_id, grant.browser_session_id)
        )
        if signed_in is None:
            raise _refused()
        allowed = Allowed(signed_in, Proof(grant.amr, proven_at), grant.scopes, resource=grant.resource)

        def used_up(session: Session) -> tuple[Write, ...]:
            return (found.replace(msgspec.structs.replace(grant, session_id=session.id)),)

        return await self._client_sessions.begin(client, allowed, used_up, request_id)

    async def _wish(self, signed_in: SignedIn, code: str) -> Wish | None:
        """None if no grant with this code awaits a decision, or its client is gone or disabled."""
        tenant_id = signed_in.owner.value.id
        grant_id = user_code.document_id(tenant_id, code)
        key = records.device_code_key(self._store, tenant_id, grant_id)
        grant = await records.read(self._store, key, DeviceGrant)
        if grant is None or not rules.awaits_decision(grant.value, self._clock()):
            return None
        client = await self._clients.find(grant.value.client_id)
        if client is None:
            return None
        held = await self._roles.scopes_of(tenant_id, signed_in.user.value.role)
        scopes = oauth_client.scopes_for(client.value, held, " ".join(grant.value.scopes))
        return Wish(code, grant, client, scopes)

    async def _codes(self) -> DeviceCodes:
        return DeviceCodes((await self._keys.current()).front_channel)


def _unknown_code() -> NotFound:
    detail = "There is no device with this code now. Look at the device again; a code works for ten minutes."
    return NotFound("unknown_user_code", detail)


def _refused() -> OAuthError:
    return invalid_grant("The device code is not good for this client. Start again.")
