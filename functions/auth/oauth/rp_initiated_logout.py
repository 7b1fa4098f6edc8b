"""Sign-out that a client begins (OpenID Connect RP-Initiated Logout 1.0): the browser's session ends."""

import msgspec

from functions.auth import records
from functions.auth.domain import logout_request as rules
from functions.auth.domain import oauth_client
from functions.auth.domain.authorization_request import Pairs
from functions.auth.domain.claims import IdClaims
from functions.auth.domain.logout_request import LogoutRequest
from functions.auth.domain.oauth_client import OAuthClient
from functions.auth.domain.session import Session
from functions.auth.oauth.id_tokens import IdTokens
from functions.auth.oauth.oauth_clients import OAuthClients
from functions.auth.sessions.browser_sessions import SIGN_OUT, BrowserSessions, SignedIn
from functions.auth.sessions.session_end import SessionEnd
from shared.audit import Actor
from shared.store import Store


class Onward(msgspec.Struct, frozen=True):
    """Back to the client: an address that it registered, with its state, and what it is called.

    `is_proven`: its ID token says that the person comes from there, so the browser goes on by itself.
    """

    uri: str
    client_name: str
    is_proven: bool


class SignedOut(msgspec.Struct, frozen=True):
    """Nobody is signed in here. `was_signed_in`: until now. `leads_nowhere`: an address was asked for that is
    not the client's.
    """

    onward: Onward | None
    leads_nowhere: bool
    was_signed_in: bool


class Question(msgspec.Struct, frozen=True):
    """Somebody is signed in, and whether they want to sign out is theirs to say. `person`: their address."""

    person: str
    onward: Onward | None
    leads_nowhere: bool


class _Asked(msgspec.Struct, frozen=True):
    """What is left of a request once it was looked at. `hint`: an ID token of ours, for the client."""

    onward: Onward | None
    hint: IdClaims | None


class RpInitiatedLogout:
    """What cannot be verified is not used (§4): it costs a question, or the way back, and never an error."""

    def __init__(
        self,
        store: Store,
        clients: OAuthClients,
        id_tokens: IdTokens,
        browser_sessions: BrowserSessions,
        session_end: SessionEnd,
    ) -> None:
        self._store = store
        self._clients = clients
        self._id_tokens = id_tokens
        self._browser_sessions = browser_sessions
        self._session_end = session_end

    async def begin(self, pairs: Pairs, cookie: str | None, request_id: str) -> SignedOut | Question:
        """`pairs` as they came, `cookie` the browser's session, which ends where the hint names its person.

        With it ends the session that the hint was given for. Raises `BadRequest`.
        """
        request = rules.read(pairs)
        asked = await self._asked(request)
        signed_in = await self._browser_sessions.find(cookie)
        leads_nowhere = asked.onward is None and request.post_logout_redirect_uri != ""
        if signed_in is None:
            return SignedOut(asked.onward, leads_nowhere, was_signed_in=False)
        if asked.hint is None or not await self._is_about(asked.hint, signed_in):
            return Question(signed_in.user.value.email, asked.onward, leads_nowhere)
        actor = Actor("user", asked.hint.sub, asked.hint.tid, request_id)
        # The browser's is the last: whoever comes again after a crash is still known by it.
        await self._session_end.end(asked.hint.tid, asked.hint.sid, SIGN_OUT, actor)
        await self._browser_sessions.end(cookie, request_id)
        return SignedOut(asked.onward, leads_nowhere, was_signed_in=True)

    async def _asked(self, request: LogoutRequest) -> _Asked:
        hint = await self._id_tokens.read(request.id_token_hint) if request.id_token_hint else None
        if hint is not None and request.client_id not in ("", hint.aud):
            return _Asked(None, None)
        found = await self._clients.find(request.client_id if hint is None else hint.aud)
        if found is None:
            return _Asked(None, None)
        return _Asked(_onward(found.value, request, is_proven=hint is not None), hint)

    async def _is_about(self, hint: IdClaims, signed_in: SignedIn) -> bool:
        """Whether it was given to that client for whoever is signed in here now."""
        if (hint.tid, hint.sub) != (signed_in.owner.value.id, signed_in.user.value.id):
            return False
        session = await records.by_id(self._store, records.session_key, hint.tid, hint.sid, Session)
        if session is None:
            return False
        return (session.value.user_id, session.value.client_id) == (hint.sub, hint.aud)


def _onward(client: OAuthClient, request: LogoutRequest, *, is_proven: bool) -> Onward | None:
    if not oauth_client.returns_to(client, request.post_logout_redirect_uri):
        return None
    return Onward(rules.answer(request), client.name, is_proven)
