"""Service accounts: machines of a tenant, which do not depend on whoever created them."""

import msgspec

from functions.auth import caller_in_force, records, standing
from functions.auth.credentials.holder_changes import new_secret
from functions.auth.domain import credentials, machines, people, roles
from functions.auth.domain.machines import ServiceAccount
from shared import audit
from shared.audit import Actor
from shared.errors import NotFound
from shared.http.idempotency import EACH_TIME, Once
from shared.http.pagination import Listing
from shared.identity import Principal
from shared.ids import Clock, new_id
from shared.outbox import Outbox
from shared.store import Store, Write


class Made(msgspec.Struct, frozen=True):
    """A new account, its only copy of the secret, and the writes that create it."""

    account: ServiceAccount
    secret: str
    writes: tuple[Write, ...]


class ServiceAccounts:
    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def create(
        self,
        principal: Principal,
        actor: Actor,
        name: str,
        scopes: list[str],
        once: Once[Made] = EACH_TIME,
    ) -> Made:
        """Raises `Invalid`, `Forbidden` `scope_not_grantable` for more than the creator has, and what
        `standing.of_caller` and `caller_in_force.checks` raise.
        """
        granted = machines.grantable(scopes, principal.scopes, principal.tenant_id)
        shown_name = people.display_name(name)

        async def attempt() -> Made:
            owner = await standing.read(self._store, principal)
            still = await caller_in_force.checks(self._store, principal, self._clock)
            made = make(self._store, owner.value.id, shown_name, granted, (), actor, self._clock)
            told = {"service_account_id": made.account.id}
            await self._store.commit(
                *made.writes,
                *still,
                *self._outbox.entries("service_account.created", owner.value.id, told),
                owner.check(),
                *once.writes(made),
            )
            return made

        return await once.run(attempt)

    async def page(self, tenant_id: str, limit: int, cursor: str | None) -> Listing[ServiceAccount]:
        """Oldest first. Raises `BadRequest` `invalid_cursor`."""
        query = records.SERVICE_ACCOUNTS
        return await records.listed(self._store, tenant_id, query, ServiceAccount, limit, cursor)

    async def get(self, tenant_id: str, account_id: str) -> ServiceAccount:
        """Raises `NotFound`."""
        key_of = records.service_account_key
        found = await records.by_id(self._store, key_of, tenant_id, account_id, ServiceAccount)
        if found is None:
            raise not_found()
        return found.value


def make(
    store: Store,
    tenant_id: str,
    name: str,
    scopes: tuple[str, ...],
    account_roles: tuple[roles.Role, ...],
    actor: Actor,
    clock: Clock,
) -> Made:
    """A new account with one secret."""
    secret, at = new_secret(), clock()
    account = ServiceAccount(
        id=new_id("sa"),
        name=name,
        scopes=scopes,
        roles=account_roles,
        secrets=(credentials.hashed(new_id("sec"), secret, at),),
        created_by=actor.id,
        created_at=at,
    )
    key = records.service_account_key(store, tenant_id, account.id)
    recorded = audit.record(
        store,
        tenant_id,
        actor=actor,
        action="service_account.create",
        target=account.id,
        at=at,
        detail={"scopes": " ".join(scopes)},
    )
    return Made(account, secret, (records.create(key, account), recorded))


def not_found() -> NotFound:
    return NotFound(
        "service_account_not_found",
        "There is no such service account. GET /v1/service-accounts lists those there are.",
    )
