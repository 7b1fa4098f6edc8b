"""The session with which a client acts for a person, once that person has allowed it."""

from collections.abc import Callable, Sequence

import msgspec

from functions.auth.domain import oauth_client
from functions.auth.domain.session import Session
from functions.auth.oauth.client_authentication import AuthenticatedClient
from functions.auth.oauth.sessions import Sessions
from functions.auth.oauth.tokens import Tokens
from functions.auth.sessions import session_start
from functions.auth.sessions.browser_sessions import SignedIn
from functions.auth.sessions.session_end import SessionEnd
from functions.auth.sessions.session_rate import SessionRate
from functions.auth.sessions.session_start import Proof
from shared.audit import Actor
from shared.errors import OAuthError
from shared.ids import Clock
from shared.store import Store, Write


class Allowed(msgspec.Struct, frozen=True):
    """What a person allowed a client, and how that person signed in. `resource` is the API that tokens are
    for; None: this one.
    """

    by: SignedIn
    proof: Proof
    scopes: tuple[str, ...]
    nonce: str | None = None
    resource: str | None = None


class ClientSessions:
    def __init__(
        self, store: Store, sessions: Sessions, session_end: SessionEnd, rate: SessionRate, clock: Clock
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._session_end = session_end
        self._clock = clock
        self._rate = rate

    async def begin(
        self,
        client: AuthenticatedClient,
        allowed: Allowed,
        used_up: Callable[[Session], Sequence[Write]],
        request_id: str,
    ) -> Tokens:
        """Begins the session and returns its tokens. `used_up` gives the writes that mark the code or device
        code as used; they are part of the same commit.

        The session has those of the allowed scopes that the client is still registered for. There is a
        refresh token if the client registered that grant. Raises `Stale`, and `TooManyRequests`.
        """
        owner, user = allowed.by.owner, allowed.by.user
        self._rate.count(owner.value.id, user.value.id)
        started = session_start.start(
            self._store,
            owner,
            user,
            allowed.proof,
            client_id=client.client_id,
            at=self._clock(),
            request_id=request_id,
            scopes=oauth_client.still_granted(client.client, allowed.scopes),
            resource=allowed.resource,
        )
        session = started.session
        await self._store.commit(*started.writes, allowed.by.session.check(), *used_up(session))
        return await self._sessions.tokens(
            owner.value,
            session,
            session.scopes,
            refreshable=client.client is not None and "refresh_token" in client.client.grant_types,
            nonce=allowed.nonce,
        )

    async def end_reused(self, tenant_id: str, session_id: str, kind: str, request_id: str) -> None:
        """Ends the session that the first use of a code began, access tokens included (RFC 6749 §4.1.2)."""
        actor = Actor("anonymous", kind, tenant_id, request_id)
        await self._session_end.end(tenant_id, session_id, f"{kind}_reused", actor)


def invalid_grant(detail: str) -> OAuthError:
    return OAuthError(400, "invalid_grant", detail)
