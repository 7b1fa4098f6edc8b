"""Browser sessions: a sign-in on the hosted pages that lets further applications in without a password."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from functions.auth import records
from functions.auth.domain import client_id, people
from functions.auth.domain.browser_cookie import BrowserCookie, BrowserCookies
from functions.auth.domain.people import User
from functions.auth.domain.session import Session
from functions.auth.guessing.source import Source
from functions.auth.keyring.keys import KeyRoom
from functions.auth.records import Found
from functions.auth.sessions import session_start
from functions.auth.sessions.session_end import SessionEnd
from functions.auth.sessions.session_start import Proof
from shared import tenant
from shared.audit import Actor
from shared.ids import Clock
from shared.store import Store, Write
from shared.tenant import Tenant

LIFETIME = timedelta(hours=12)
SIGN_OUT = "sign_out"


class SignedIn(msgspec.Struct, frozen=True):
    """A valid browser session with its user and tenant, as they were read."""

    owner: Found[Tenant]
    user: Found[User]
    session: Found[Session]

    def checks(self) -> tuple[Write, ...]:
        """Preconditions for a commit that is only right while this sign-in stands."""
        return self.owner.check(), self.user.check(), self.session.check()


class BrowserSessions:
    def __init__(self, store: Store, session_end: SessionEnd, keys: KeyRoom, clock: Clock) -> None:
        self._store = store
        self._session_end = session_end
        self._keys = keys
        self._clock = clock

    async def begin(
        self, owner: Found[Tenant], user: Found[User], proof: Proof, source: Source, more: Sequence[Write]
    ) -> str:
        """Begins a session without scopes and tokens, in one commit with `more`, and returns the value of its
        cookie. Raises `Stale`.
        """
        started = session_start.start(
            self._store,
            owner,
            user,
            proof,
            client_id=client_id.PAGES,
            at=self._clock(),
            request_id=source.request_id,
            scopes=(),
            user_agent=source.user_agent,
            ip=source.ip,
        )
        await records.commit(self._store, *started.writes, *more)
        cookie = BrowserCookie(owner.value.id, user.value.id, started.session.id)
        return (await self._cookies()).text(cookie)

    async def find(self, text: str | None) -> SignedIn | None:
        """Who is signed in by a cookie; None without one, for a forged one, or after the session's end."""
        cookie = None if text is None else (await self._cookies()).read(text)
        if cookie is None:
            return None
        found = await self.of(cookie)
        if found is None or found.session.value.revoked_at is not None:
            return None
        return found if self._clock() < found.session.value.created_at + LIFETIME else None

    async def of(self, cookie: BrowserCookie) -> SignedIn | None:
        """The session of a cookie, also if its user has signed out since or it is older than `LIFETIME`: what
        a client obtained through it remains valid. None if it was revoked for any other reason.
        """
        tenant_doc, user_doc, session_doc = await self._store.read(
            tenant.key(self._store, cookie.tenant_id),
            records.user_key(self._store, cookie.tenant_id, cookie.user_id),
            records.session_key(self._store, cookie.tenant_id, cookie.session_id),
        )
        owner, user = records.found(tenant_doc, Tenant), records.found(user_doc, User)
        session = records.found(session_doc, Session)
        if owner is None or user is None or session is None:
            return None
        known = session.value.user_id == cookie.user_id and session.value.client_id == client_id.PAGES
        active = owner.value.status == "active" and people.is_in_force(user.value, session.value)
        return SignedIn(owner, user, session) if known and active and _stands(owner, session) else None

    async def end(self, text: str | None, request_id: str) -> None:
        """Signs out of this browser. Does nothing without a genuine cookie, or if the session has ended."""
        cookie = None if text is None else (await self._cookies()).read(text)
        if cookie is not None:
            actor = Actor("user", cookie.user_id, cookie.tenant_id, request_id)
            await self._session_end.end(cookie.tenant_id, cookie.session_id, SIGN_OUT, actor)

    async def _cookies(self) -> BrowserCookies:
        return BrowserCookies((await self._keys.current()).front_channel)


def _stands(owner: Found[Tenant], session: Found[Session]) -> bool:
    """Whether the session was neither revoked, other than by a sign-out here, nor ended by its tenant."""
    if session.value.revoked_at is not None and session.value.revoked_because != SIGN_OUT:
        return False
    valid_after = owner.value.tokens_valid_after
    return valid_after is None or session.value.created_at > valid_after
