"""The roles of a tenant: the built-in ones, and custom ones."""

from collections.abc import Collection, Sequence

from functions.auth import caller_in_force, caller_rules, records, standing
from functions.auth.domain import custom_role, people, roles
from functions.auth.domain.custom_role import CustomRole
from functions.auth.domain.people import Invitation
from functions.auth.records import Found
from shared import audit, revocations
from shared.audit import Actor
from shared.errors import Conflict, Forbidden, NotFound, invalid
from shared.event_door import Rejected
from shared.http.idempotency import EACH_TIME, Once
from shared.http.pagination import Listing
from shared.identity import Principal
from shared.ids import Clock, is_id
from shared.outbox import Outbox
from shared.store import AlreadyExists, Create, Delete, Store, Write, until_not_stale
from shared.store.bodies import from_body

_PAGE = 100


class Roles:
    """A commit that gives somebody a custom role writes the role too, so that it cannot be deleted then."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def scopes_of(self, tenant_id: str, role: str) -> frozenset[str]:
        """The scopes of `role` now; none for an unknown role. A built-in role costs no read."""
        if role in roles.ROLES:
            return roles.scopes_of([role])
        found = await self._found(tenant_id, role)
        return frozenset() if found is None else frozenset(found.value.scopes)

    async def giving(self, principal: Principal, role: str) -> tuple[Write, ...]:
        """Writes for a commit that gives `role` to somebody.

        Raises `Invalid` `unknown_role`; `Forbidden` `role_not_grantable` for a role above the caller's own.
        """
        own = None if role in roles.ROLES else await self._found(principal.tenant_id, role)
        if own is None and role not in roles.ROLES:
            detail = f"Give one of these: {', '.join(roles.ROLES)}, or a tenant's own as in GET /v1/roles."
            raise invalid("/role", "unknown_role", detail)
        stands_for = roles.scopes_of([role]) if own is None else frozenset(own.value.scopes)
        if not _may_grant(principal, role, stands_for):
            raise Forbidden(
                "role_not_grantable", "Nobody gives or takes a role above their own. Ask somebody who has it."
            )
        return () if own is None else (own.replace(own.value),)

    async def require_over(self, principal: Principal, role: str) -> None:
        """Raises `Forbidden` unless the caller could give `role`, that of the person to be changed."""
        stands_for = await self.scopes_of(principal.tenant_id, role)
        if not _may_grant(principal, role, stands_for):
            raise Forbidden(
                "role_not_grantable",
                "Nobody changes somebody whose role is above their own. Ask somebody who has it.",
            )

    async def create(
        self,
        principal: Principal,
        actor: Actor,
        name: str,
        description: str,
        scopes: Sequence[str],
        once: Once[CustomRole] = EACH_TIME,
    ) -> CustomRole:
        """Raises `Invalid`, `Conflict` `role_exists`, `Forbidden` `scope_not_grantable`."""
        at = self._clock()
        role = CustomRole(
            name=custom_role.new_name(name),
            description=custom_role.description(description),
            scopes=custom_role.grantable(scopes, principal.scopes),
            created_by=actor.id,
            created_at=at,
            updated_at=at,
        )

        async def attempt() -> CustomRole:
            key = records.role_key(self._store, principal.tenant_id, role.name)
            owner = await standing.read(self._store, principal)
            writes = (records.create(key, role), *self._told(principal, actor, "create", role))
            still = await caller_in_force.checks(self._store, principal, self._clock)
            try:
                await self._store.commit(*writes, *still, owner.check(), *once.writes(role))
            except AlreadyExists as taken:
                if taken.key != key:
                    raise
                raise Conflict(
                    "role_exists", "The tenant has a role of this name. Change that one."
                ) from None
            return role

        return await once.run(attempt)

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> Listing[CustomRole]:
        """The tenant's own, oldest first. Raises `BadRequest` `invalid_cursor`."""
        return await records.listed(self._store, tenant_id, records.ROLES, CustomRole, limit, cursor)

    async def get(self, tenant_id: str, name: str) -> CustomRole:
        """Raises `NotFound` `role_not_found`."""
        return (await self._known(tenant_id, name)).value

    async def change(
        self,
        principal: Principal,
        actor: Actor,
        name: str,
        description: str | None,
        scopes: Sequence[str] | None,
    ) -> CustomRole:
        """Changes a custom role; None leaves a field as it is. Access tokens of people with the role end; the
        next ones have the new scopes.

        Raises `NotFound`, `Invalid`, and `Forbidden` `scope_not_grantable` if the role has, or would have, a
        scope that the caller lacks.
        """

        async def attempt() -> CustomRole:
            owner = await standing.read(self._store, principal)
            found = await self._known(principal.tenant_id, name)
            before = found.value
            custom_role.require_within(before.scopes, principal.scopes)
            after = custom_role.changed(before, description, scopes, principal.scopes, self._clock())
            told = self._told(principal, actor, "update", after)
            changed = found.replace(after)
            ended = self._access_ends(principal.tenant_id, name)
            still = await caller_in_force.checks(self._store, principal, self._clock, (changed,))
            await self._store.commit(changed, ended, *told, owner.check(), *still)
            return after

        return await until_not_stale(attempt)

    async def delete(self, principal: Principal, actor: Actor, name: str) -> None:
        """Raises `NotFound`, `Forbidden`, `Conflict` `role_in_use` while somebody has it or is invited to."""

        async def attempt() -> None:
            owner = await standing.read(self._store, principal)
            found = await self._known(principal.tenant_id, name)
            custom_role.require_within(found.value.scopes, principal.scopes)
            if await self._is_used(principal.tenant_id, name):
                detail = "Somebody has this role or is invited to it. Give them another one first."
                raise Conflict("role_in_use", detail)
            told = self._told(principal, actor, "delete", found.value)
            await self._store.commit(Delete(found.key, found.version), *told, owner.check())

        await until_not_stale(attempt)

    async def end_access_of(self, tenant_id: str, name: str) -> None:
        """Ends the access tokens of everybody with the role again, some time after the commit that changed
        it: for tokens that were issued by the old state during that commit.

        Raises `Rejected` for what can be no custom role.
        """
        if not (is_id(tenant_id) and custom_role.is_name(name)):
            raise Rejected("unknown_role", "There is no such role.")
        await self._store.commit(self._access_ends(tenant_id, name))

    async def _is_used(self, tenant_id: str, name: str) -> bool:
        """Whether a user has the role or is invited to it. Invitations are read first: somebody who accepts
        one meanwhile is then found among the users.
        """
        scope, cursor = self._store.tenant(tenant_id), None
        while True:
            page = await scope.query(
                records.INVITATIONS_OF_ROLE, equal={"role": name}, limit=_PAGE, cursor=cursor
            )
            invited = (from_body(doc.body, Invitation) for doc in page.docs)
            if any(people.status(invitation, self._clock()) == "pending" for invitation in invited):
                return True
            cursor = page.cursor
            if cursor is None:
                break
        return bool((await scope.query(records.USERS_OF_ROLE, equal={"role": name}, limit=1)).docs)

    def _access_ends(self, tenant_id: str, name: str) -> Create:
        return revocations.record(self._store, tenant_id, revocations.of_role(name), self._clock())

    async def _known(self, tenant_id: str, name: str) -> Found[CustomRole]:
        found = await self._found(tenant_id, name)
        if found is None:
            raise NotFound("role_not_found", "The tenant has made no such role. GET /v1/roles lists its own.")
        return found

    async def _found(self, tenant_id: str, name: str) -> Found[CustomRole] | None:
        if not custom_role.is_name(name):
            return None
        key = records.role_key(self._store, tenant_id, name)
        return await records.read(self._store, key, CustomRole)

    def _told(self, principal: Principal, actor: Actor, verb: str, role: CustomRole) -> list[Create]:
        """Its event and its audit record."""
        return [
            *self._outbox.entries(f"role.{verb}d", principal.tenant_id, {"role": role.name}),
            audit.record(
                self._store,
                principal.tenant_id,
                actor=actor,
                action=f"role.{verb}",
                target=role.name,
                at=self._clock(),
                detail={"scopes": " ".join(role.scopes)},
            ),
        ]


def _may_grant(principal: Principal, role: str, stands_for: Collection[str]) -> bool:
    """An application has the scopes that it was given, and not the role of the person it acts for: an admin
    has all of an owner's scopes and may register an application for them, and who opens it is asked nothing.
    """
    own_roles = () if caller_rules.is_application(principal) else principal.roles
    return roles.may_grant(role, stands_for, principal.tenant_id, own_roles, principal.scopes)
