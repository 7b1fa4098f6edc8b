"""The end of sessions: one commit revokes the session and its access tokens, with event and audit record."""

from collections.abc import Callable

from functions.auth import records
from functions.auth.domain import client_id
from functions.auth.domain import session as session_rules
from functions.auth.domain.session import Session
from functions.auth.records import Found
from shared import audit, revocations
from shared.audit import Actor
from shared.errors import Forbidden
from shared.identity import Principal
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Store, until_not_stale
from shared.store.bodies import from_body, stamp

REUSED = "refresh_token_reused"


class SessionEnd:
    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def logout(self, principal: Principal, actor: Actor) -> None:
        """Ends the caller's session; a second call does nothing. Raises `Forbidden` `no_session` for a
        machine.
        """
        if principal.session_id is None:
            raise Forbidden("no_session", "A machine has no session to end.")
        await self.end(principal.tenant_id, principal.session_id, "logout", actor)

    async def end(
        self, tenant_id: str, session_id: str, because: str, actor: Actor, *, user_id: str | None = None
    ) -> Session | None:
        """Ends a session, if it is not over already, and returns it. None if the tenant has no session with
        this id, or `user_id` is given and the session is another user's.
        """

        async def attempt() -> Session | None:
            key_of = records.session_key
            session = await records.by_id(self._store, key_of, tenant_id, session_id, Session)
            if session is None or user_id not in (None, session.value.user_id):
                return None
            if session.value.revoked_at is not None:
                return session.value
            over = session_rules.revoke(session.value, self._clock(), because)
            await self.commit(tenant_id, session, over, actor)
            return over

        return await until_not_stale(attempt)

    async def end_all(
        self, tenant_id: str, user_id: str, because: str, actor: Actor, over: Callable[[Session], bool]
    ) -> None:
        """Ends those sessions of a user for which `over` is true. Calling it again does no harm.

        Call it after the commit that changed the user. A sign-in that began before that commit fails at its
        check of the user's document, so no session is missed.
        """
        cursor: str | None = None
        since = stamp(self._clock() - session_rules.ABSOLUTE_LIFETIME)
        while True:
            page = await self._store.tenant(tenant_id).query(
                records.SESSIONS_OF_USER, equal={"user_id": user_id}, since=since, limit=100, cursor=cursor
            )
            for session in (from_body(doc.body, Session) for doc in page.docs):
                if session.revoked_at is None and over(session):
                    await self.end(tenant_id, session.id, because, actor)
            cursor = page.cursor
            if cursor is None:
                return

    async def commit(self, tenant_id: str, session: Found[Session], over: Session, actor: Actor) -> None:
        """Replaces `session` by its revoked version `over`, with event and audit record. Raises `Stale`."""
        name = f"security.{REUSED}" if over.revoked_because == REUSED else "session.revoked"
        at = over.revoked_at or self._clock()
        data = {"session_id": over.id, "user_id": over.user_id, "because": over.revoked_because}
        has_tokens = over.client_id != client_id.PAGES
        await self._store.commit(
            session.replace(over),
            *([revocations.record(self._store, tenant_id, over.id, at)] if has_tokens else ()),
            *self._outbox.entries(name, tenant_id, data),
            audit.record(
                self._store,
                tenant_id,
                actor=actor,
                action="session.revoke",
                target=over.id,
                at=at,
                detail={"because": over.revoked_because},
            ),
        )
