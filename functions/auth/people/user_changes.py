"""Changes of users by others: name, role, disable, enable, delete. One active owner always stays."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from functions.auth import caller_in_force, records, standing
from functions.auth.domain import people
from functions.auth.domain.people import Login, User
from functions.auth.factors import factor_documents
from functions.auth.people import invitations_of_address, users
from functions.auth.people.user_sessions import UserSessions
from functions.auth.records import Found
from functions.auth.roles.roles_of_tenant import Roles
from shared import audit, revocations
from shared.audit import Actor
from shared.errors import Conflict
from shared.identity import Principal
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Check, Create, Delete, Store, Write, until_not_stale


class UserChanges:
    """Each commit checks that the tenant, the user and a remaining owner have not changed since they were
    read.

    All methods raise `Forbidden` `role_not_grantable` for a user whose role the caller could not give, and
    what `caller_in_force.checks` raises.
    """

    def __init__(
        self, store: Store, outbox: Outbox, roles: Roles, sessions: UserSessions, clock: Clock
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._roles = roles
        self._sessions = sessions
        self._clock = clock

    async def change(
        self, principal: Principal, actor: Actor, user_id: str, name: str | None, role: str | None
    ) -> User:
        """Changes name and role; None leaves them. Sessions go on with a new role: the next tokens have its
        scopes, and the present access tokens end.

        Raises `NotFound`, `Invalid`, `Forbidden`, `Conflict` `last_owner`.
        """

        async def decide(user: User) -> tuple[User, list[Write]]:
            after = user if name is None else people.renamed(user, name)
            writes: list[Write] = []
            if after != user:
                writes += self._told(principal, actor, "user.updated", "user.update", user_id)
            if role is not None and role != user.role:
                after = msgspec.structs.replace(after, role=role)
                writes += await self._roles.giving(principal, role)
                writes += await self._owner_who_stays(principal.tenant_id, user)
                writes.append(self._access_ends(principal.tenant_id, user_id))
                writes += await self._sessions.overtaken(principal.tenant_id, user_id, role)
                detail = {"role": role, "role_before": user.role}
                writes += self._told(
                    principal, actor, "user.role_changed", "user.change_role", user_id, detail
                )
            return after, writes

        return await self._changed(principal, user_id, decide)

    async def disable(self, principal: Principal, actor: Actor, user_id: str) -> User:
        """Ends all sessions and refuses further sign-ins; a second call does nothing.

        Raises `NotFound`, `Forbidden`, `Conflict` `last_owner`.
        """

        async def decide(user: User) -> tuple[User, list[Write]]:
            if user.status == "disabled":
                return user, []
            after = msgspec.structs.replace(people.signed_out(user), status="disabled")
            return after, [
                *await self._owner_who_stays(principal.tenant_id, user),
                *await self._sessions.overtaken(principal.tenant_id, user_id),
                self._access_ends(principal.tenant_id, user_id),
                *self._told(principal, actor, "user.disabled", "user.disable", user_id),
            ]

        disabled = await self._changed(principal, user_id, decide)
        await self._sessions.end_those_over(principal.tenant_id, user_id, actor)
        return disabled

    async def enable(self, principal: Principal, actor: Actor, user_id: str) -> User:
        """The user may sign in again; no session comes back. Raises `NotFound`, `Forbidden`."""

        async def decide(user: User) -> tuple[User, list[Write]]:
            if user.status == "active":
                return user, []
            told = self._told(principal, actor, "user.enabled", "user.enable", user_id)
            return msgspec.structs.replace(user, status="active"), [*told]

        return await self._changed(principal, user_id, decide)

    async def delete(self, principal: Principal, actor: Actor, user_id: str) -> None:
        """Deletes the user, the login, the second factors and all invitations of the address, which can be
        used again. Only ids remain, in the audit log and in sessions that are over.

        Raises `NotFound`, `Forbidden`, `Conflict` `last_owner`.
        """

        async def attempt() -> None:
            owner = await standing.read(self._store, principal)
            user = await self._over(principal, user_id)
            login_id = people.login_id(user.value.email)
            login_key = records.login_key(self._store, principal.tenant_id, login_id)
            login = await records.read(self._store, login_key, Login)
            writes = (
                Delete(user.key, user.version),
                *([] if login is None else [Delete(login.key, login.version)]),
                Delete(records.link_key(self._store, principal.tenant_id, login_id)),
                Delete(records.link_key(self._store, principal.tenant_id, user_id)),
                *await invitations_of_address.gone(self._store, principal.tenant_id, user.value.email),
                *await factor_documents.gone(self._store, principal.tenant_id, user_id),
                *await self._owner_who_stays(principal.tenant_id, user.value),
                *await self._sessions.overtaken(principal.tenant_id, user_id),
                self._access_ends(principal.tenant_id, user_id),
                *self._told(principal, actor, "user.deleted", "user.delete", user_id),
                owner.check(),
            )
            still = await caller_in_force.checks(self._store, principal, self._clock, writes)
            await self._store.commit(*writes, *still)

        await until_not_stale(attempt)
        await self._sessions.end_those_over(principal.tenant_id, user_id, actor)

    async def _changed(
        self,
        principal: Principal,
        user_id: str,
        decide: Callable[[User], Awaitable[tuple[User, list[Write]]]],
    ) -> User:
        async def attempt() -> User:
            owner = await standing.read(self._store, principal)
            user = await self._over(principal, user_id)
            after, writes = await decide(user.value)
            if writes:
                writes += [user.replace(after), owner.check()]
                still = await caller_in_force.checks(self._store, principal, self._clock, writes)
                await self._store.commit(*writes, *still)
            return after

        return await until_not_stale(attempt)

    async def _over(self, principal: Principal, user_id: str) -> Found[User]:
        user = await users.known(self._store, principal.tenant_id, user_id)
        await self._roles.require_over(principal, user.value.role)
        return user

    async def _owner_who_stays(self, tenant_id: str, user: User) -> Sequence[Check]:
        """A check of another active owner's document, if `user` is one. If two owners remove each other at
        the same time, one of the commits fails. Raises `Conflict` `last_owner`.
        """
        if user.role != "owner" or user.status != "active":
            return ()
        equal = {"role": "owner", "status": "active"}
        page = await self._store.tenant(tenant_id).query(
            records.USERS_OF_ROLE_AND_STATUS, equal=equal, limit=2
        )
        others = [doc for doc in page.docs if doc.key.id != user.id]
        if not others:
            raise Conflict("last_owner", "A tenant keeps one active owner. Make somebody else owner first.")
        return (Check(others[0].key, others[0].version),)

    def _access_ends(self, tenant_id: str, user_id: str) -> Create:
        return revocations.record(self._store, tenant_id, user_id, self._clock())

    def _told(
        self,
        principal: Principal,
        actor: Actor,
        event: str,
        action: str,
        user_id: str,
        detail: dict[str, str] | None = None,
    ) -> list[Create]:
        """The event and the audit record."""
        return [
            *self._outbox.entries(event, principal.tenant_id, {"user_id": user_id, **(detail or {})}),
            audit.record(
                self._store,
                principal.tenant_id,
                actor=actor,
                action=action,
                target=user_id,
                at=self._clock(),
                detail=detail,
            ),
        ]
