"""Token revocation (RFC 7009): a client ends one of its tokens before it expires."""

import contextlib
from collections.abc import Mapping

from functions.auth import records
from functions.auth.domain import refresh_token as refresh_tokens
from functions.auth.domain.session import Session
from functions.auth.guessing.buckets import Buckets, Rate
from functions.auth.keyring.keys import KeyRoom
from functions.auth.oauth.client_authentication import AuthenticatedClient, ClientAuthentication
from functions.auth.sessions.session_end import SessionEnd
from shared import audit, revocations
from shared.audit import Actor
from shared.errors import Forbidden, OAuthError, TooManyRequests, Unauthenticated
from shared.identity import Principal, Verifier
from shared.ids import Clock
from shared.store import AlreadyExists, Store

REVOKED = "revoked_by_client"
TOKENS = Rate(burst=100, seconds=1, keys=10_000)
"""Revocations of single access tokens by one machine: every verifier reads each of them (decision 0021)."""


class TokenRevocation:
    """Revoking any token of a session ends the session. A machine's access token ends alone."""

    def __init__(
        self,
        store: Store,
        clients: ClientAuthentication,
        verifier: Verifier,
        keys: KeyRoom,
        session_end: SessionEnd,
        clock: Clock,
    ) -> None:
        self._store = store
        self._clients = clients
        self._verifier = verifier
        self._keys = keys
        self._session_end = session_end
        self._clock = clock
        self._given_back = Buckets(TOKENS, clock)

    async def revoke(
        self, form: Mapping[str, str], authorization: str | None, request_id: str, address: str = ""
    ) -> None:
        """Does nothing for a text that is no token, or no longer one (§2.2). A request that names no client
        is the first-party app's, which is public and proves nothing (§2.1).

        Raises `OAuthError` as `ClientAuthentication.authenticate` does, `invalid_request`, and
        `invalid_grant` for another client's token, which stays valid; `TooManyRequests` for a machine that
        revokes very many access tokens one by one.
        """
        client = await self._clients.authenticate(form, authorization, request_id, address)
        token = form.get("token")
        if token is None:
            raise OAuthError(400, "invalid_request", "Give token.")
        if token.startswith(refresh_tokens.PREFIX):
            await self._refresh_token(client, token, request_id)
        else:
            await self._access_token(client, token, request_id)

    async def _refresh_token(self, client: AuthenticatedClient, text: str, request_id: str) -> None:
        token = (await self._keys.current()).refresh_tokens.read(text)
        if token is None:
            return
        doc = (await self._store.read(records.session_key(self._store, token.tenant_id, token.session_id)))[0]
        session = records.found(doc, Session)
        if session is not None:
            _require_own(client, session.value.client_id)
            actor = Actor("user", session.value.user_id, token.tenant_id, request_id)
            await self._session_end.end(token.tenant_id, session.value.id, REVOKED, actor)

    async def _access_token(self, client: AuthenticatedClient, text: str, request_id: str) -> None:
        try:
            principal = await self._verifier.verify(text)
        except (Unauthenticated, Forbidden):
            return
        _require_own(client, principal.client_id)
        if principal.session_id is not None:
            actor = Actor("user", principal.subject, principal.tenant_id, request_id)
            await self._session_end.end(principal.tenant_id, principal.session_id, REVOKED, actor)
        else:
            await self._end_one(principal, request_id)

    async def _end_one(self, principal: Principal, request_id: str) -> None:
        """Ends one access token. The verifier may accept it for a while yet, so a second call is normal; it
        finds the audit record of the first and writes nothing.
        """
        tenant_id, at = principal.tenant_id, self._clock()
        wait = self._given_back.take(f"{tenant_id}/{principal.subject}")
        if wait:
            detail = "This client has given back very many tokens just now. Wait a little, then try again."
            raise TooManyRequests("too_many_revocations", detail, headers={"Retry-After": str(wait)})
        recorded = audit.record(
            self._store,
            tenant_id,
            actor=Actor("service_account", principal.subject, tenant_id, request_id),
            action="access_token.revoke",
            target=principal.token_id,
            at=at,
            once=principal.token_id,
        )
        with contextlib.suppress(AlreadyExists):
            await self._store.commit(
                recorded, revocations.record(self._store, tenant_id, principal.token_id, at)
            )


def _require_own(client: AuthenticatedClient, client_id: str) -> None:
    """Raises `OAuthError` `invalid_grant` for another client's token (§2.1), which stays valid."""
    if client.client_id != client_id:
        raise OAuthError(
            400, "invalid_grant", "The token was issued to another client, which alone can revoke it."
        )
