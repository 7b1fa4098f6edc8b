"""Authorization codes: given to a browser for a client, redeemed once by that client (RFC 6749 §4.1)."""

import os
from collections.abc import Mapping
from functools import partial

import msgspec

from functions.auth import records
from functions.auth.domain import authorization_code as rules
from functions.auth.domain import oauth_client, pkce
from functions.auth.domain.authorization_code import AuthorizationCode
from functions.auth.domain.authorization_request import AuthorizationRequest
from functions.auth.domain.browser_cookie import BrowserCookie
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.domain.session import Session
from functions.auth.keyring.keys import KeyRoom
from functions.auth.oauth.client_authentication import AuthenticatedClient
from functions.auth.oauth.client_sessions import Allowed, ClientSessions, invalid_grant
from functions.auth.oauth.grants import audience_of
from functions.auth.oauth.tokens import Tokens
from functions.auth.records import Found
from functions.auth.roles.roles_of_tenant import Roles
from functions.auth.sessions.browser_sessions import BrowserSessions, SignedIn
from functions.auth.sessions.session_start import Proof
from shared.errors import OAuthError
from shared.ids import Clock
from shared.store import Store, Write, until_not_stale

_RANDOM_BYTES = 16


class AuthorizationCodes:
    def __init__(
        self,
        store: Store,
        keys: KeyRoom,
        roles: Roles,
        browser_sessions: BrowserSessions,
        client_sessions: ClientSessions,
        issuer: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keys = keys
        self._roles = roles
        self._browser_sessions = browser_sessions
        self._client_sessions = client_sessions
        self._issuer = issuer
        self._clock = clock

    async def issue(
        self, client: Found[OAuthClient], request: AuthorizationRequest, signed_in: SignedIn
    ) -> str:
        """A code for those scopes of `request` that the client is registered for and the person has.

        Raises `OAuthError` `invalid_scope` if there are none; `Stale` where the client, the person or the
        sign-in has changed meanwhile.
        """
        owner, user = signed_in.owner.value, signed_in.user.value
        held = await self._roles.scopes_of(owner.id, user.role)
        at, session = self._clock(), signed_in.session.value
        code = AuthorizationCode(
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            scopes=oauth_client.scopes_for(client.value, held, request.scope),
            user_id=user.id,
            browser_session_id=session.id,
            authenticated_at=session.authenticated_at,
            amr=session.amr,
            valid_until=at + rules.LIFETIME,
            expires_at=at + rules.LIFETIME + rules.REMEMBERED,
            nonce=request.nonce,
            resource=request.resource,
        )
        text = (await self._codes()).text(owner.id, os.urandom(_RANDOM_BYTES))
        key = records.authorization_code_key(self._store, owner.id, rules.document_id(text))
        await self._store.commit(records.create(key, code), client.check(), *signed_in.checks())
        return text

    async def redeem(self, client: AuthenticatedClient, form: Mapping[str, str], request_id: str) -> Tokens:
        """Exchanges a code for tokens, once. A second use ends the session that the first one began.

        Raises `OAuthError` `invalid_request`, `invalid_grant`, `invalid_target`.
        """
        for name in ("code", "redirect_uri", "code_verifier"):
            if name not in form:
                raise OAuthError(400, "invalid_request", f"Give {name}.")
        tenant_id = (await self._codes()).tenant_of(form["code"])
        if tenant_id is None or tenant_id != client.tenant_id:
            raise _refused()
        return await until_not_stale(partial(self._redeem, tenant_id, client, form, request_id))

    async def _redeem(
        self, tenant_id: str, client: AuthenticatedClient, form: Mapping[str, str], request_id: str
    ) -> Tokens:
        key = records.authorization_code_key(self._store, tenant_id, rules.document_id(form["code"]))
        found = await records.read(self._store, key, AuthorizationCode)
        if found is None or found.value.client_id != client.client_id:
            raise _refused()
        code = found.value
        if code.session_id is not None:
            await self._client_sessions.end_reused(
                tenant_id, code.session_id, "authorization_code", request_id
            )
            raise _refused()
        self._require_proven(code, form)
        signed_in = await self._browser_sessions.of(
            BrowserCookie(tenant_id, code.user_id, code.browser_session_id)
        )
        if signed_in is None:
            raise _refused()
        resource = audience_of(client, form, self._issuer) or code.resource
        proof = Proof(code.amr, code.authenticated_at)
        allowed = Allowed(signed_in, proof, code.scopes, code.nonce, resource)

        def used_up(session: Session) -> tuple[Write, ...]:
            return (found.replace(msgspec.structs.replace(code, session_id=session.id)),)

        return await self._client_sessions.begin(client, allowed, used_up, request_id)

    def _require_proven(self, code: AuthorizationCode, form: Mapping[str, str]) -> None:
        if self._clock() >= code.valid_until or form["redirect_uri"] != code.redirect_uri:
            raise _refused()
        if not pkce.proves(form["code_verifier"], code.code_challenge):
            raise _refused()
        if code.resource is not None and form.get("resource", code.resource) != code.resource:
            raise OAuthError(
                400, "invalid_target", "The code was asked for with another resource. Send that one, or none."
            )

    async def _codes(self) -> rules.AuthorizationCodes:
        return rules.AuthorizationCodes((await self._keys.current()).front_channel)


def _refused() -> OAuthError:
    return invalid_grant(
        "The code is not good for this client, redirect_uri and code_verifier, or not now. Start again."
    )
