"""The sessions of one person, listed and ended by that person and by admins."""

from functions.auth import caller_rules, records
from functions.auth.domain import people
from functions.auth.domain import session as session_rules
from functions.auth.domain.people import User
from functions.auth.domain.roles import Role
from functions.auth.domain.session import Session
from functions.auth.people import users
from functions.auth.roles.roles_of_tenant import Roles
from functions.auth.sessions.session_end import SessionEnd
from shared import tenant
from shared.audit import Actor
from shared.errors import NotFound
from shared.event_door import Rejected
from shared.http import pagination
from shared.http.pagination import Listing
from shared.identity import Principal
from shared.ids import Clock, is_id
from shared.store import Add, Body, Store
from shared.store.bodies import from_body, stamp
from shared.tenant import Tenant


class UserSessions:
    def __init__(self, store: Store, session_end: SessionEnd, roles: Roles, clock: Clock) -> None:
        self._store = store
        self._session_end = session_end
        self._roles = roles
        self._clock = clock

    async def page(self, tenant_id: str, user_id: str, limit: int, cursor: str | None) -> Listing[Session]:
        """The live sessions of a user, oldest first. A page may be short, or empty, and not be the last.

        Raises `NotFound` `user_not_found`, `BadRequest` `invalid_cursor`.
        """
        if not is_id(user_id):
            raise users.not_found()
        tenant_doc, user_doc = await self._store.read(
            tenant.key(self._store, tenant_id), records.user_key(self._store, tenant_id, user_id)
        )
        owner, user, now = records.found(tenant_doc, Tenant), records.found(user_doc, User), self._clock()
        if user is None:
            raise users.not_found()
        valid_after = owner.value.tokens_valid_after if owner else None
        with pagination.checked(cursor):
            page = await self._store.tenant(tenant_id).query(
                records.SESSIONS_OF_USER,
                equal={"user_id": user_id},
                since=stamp(now - session_rules.ABSOLUTE_LIFETIME),
                limit=limit,
                cursor=cursor,
            )
        found = (from_body(doc.body, Session) for doc in page.docs)
        alive = (session for session in found if session_rules.is_alive(session, now, valid_after))
        return Listing([session for session in alive if people.is_in_force(user.value, session)], page.cursor)

    async def own_page(self, principal: Principal, limit: int, cursor: str | None) -> Listing[Session]:
        """The caller's own sessions. Raises what `page` raises, and like the next two methods what
        `caller_rules.require_person` raises.
        """
        caller_rules.require_person(principal)
        return await self.page(principal.tenant_id, principal.subject, limit, cursor)

    async def end_own(self, principal: Principal, actor: Actor, session_id: str) -> None:
        """Ends one of the caller's sessions, once. Raises `NotFound` `session_not_found`."""
        caller_rules.require_person(principal)
        await self._end(principal.tenant_id, principal.subject, session_id, "ended_by_user", actor)

    async def end_others(self, principal: Principal, actor: Actor) -> None:
        """Ends all sessions of the caller except the present one."""
        caller_rules.require_person(principal)
        await self._session_end.end_all(
            principal.tenant_id,
            principal.subject,
            "ended_by_user",
            actor,
            lambda session: session.id != principal.session_id,
        )

    async def end_one_of(self, principal: Principal, actor: Actor, user_id: str, session_id: str) -> None:
        """Ends a session of a user whose role the caller could give, once.

        Raises `NotFound` `user_not_found` or `session_not_found`, `Forbidden` `role_not_grantable`.
        """
        await self._require_over(principal, user_id)
        await self._end(principal.tenant_id, user_id, session_id, "ended_by_admin", actor)

    async def end_all_of(self, principal: Principal, actor: Actor, user_id: str) -> None:
        """The same for all sessions of the user."""
        await self._require_over(principal, user_id)
        await self._session_end.end_all(
            principal.tenant_id, user_id, "ended_by_admin", actor, lambda session: True
        )

    async def overtaken(self, tenant_id: str, user_id: str, role: Role | None = None) -> list[Add]:
        """Writes for a commit that changes the user, so that refreshes under way fail and read again. `role`
        is the user's new one, if it changes.

        They have no version as a precondition, or a client that refreshes all the time could keep the commit
        from succeeding. They cover the first hundred sessions; `end_those_over` ends the others.
        """
        since = stamp(self._clock() - session_rules.ABSOLUTE_LIFETIME)
        page = await self._store.tenant(tenant_id).query(
            records.SESSIONS_OF_USER, equal={"user_id": user_id}, since=since, limit=100
        )
        fields: Body = {} if role is None else {"roles": [role]}
        return [
            Add(doc.key, {"overtaken": 1}, fields)
            for doc in page.docs
            if from_body(doc.body, Session).revoked_at is None
        ]

    async def end_those_over(self, tenant_id: str, user_id: str, actor: Actor) -> None:
        """Ends the sessions that the user's document says are over. It runs after the commit that changed the
        document, and again by its event. Raises `Rejected`.

        Refreshes read the user's document anyway, so this matters for access tokens only.
        """
        if not (is_id(tenant_id) and is_id(user_id)):
            raise Rejected("unknown_user", "There is no such user.")
        key = records.user_key(self._store, tenant_id, user_id)
        user = await records.read(self._store, key, User)
        await self._session_end.end_all(
            tenant_id,
            user_id,
            "ended_with_user",
            actor,
            lambda session: user is None or not people.is_in_force(user.value, session),
        )

    async def _end(self, tenant_id: str, user_id: str, session_id: str, because: str, actor: Actor) -> None:
        """Raises `NotFound` for an unknown session, and alike for one of another user."""
        if await self._session_end.end(tenant_id, session_id, because, actor, user_id=user_id) is None:
            raise NotFound(
                "session_not_found", "There is no such session. The list of sessions has those there are."
            )

    async def _require_over(self, principal: Principal, user_id: str) -> None:
        user = await users.known(self._store, principal.tenant_id, user_id)
        await self._roles.require_over(principal, user.value.role)
