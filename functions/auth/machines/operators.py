"""The first operator of the platform, made by whoever sets the suite up."""

from functions.auth import records
from functions.auth.domain import client_id
from functions.auth.domain.roles import PLATFORM_TENANT, scopes_of
from functions.auth.machines import service_accounts
from functions.auth.machines.service_accounts import Made
from functions.auth.records import Slug
from shared import tenant
from shared.audit import Actor
from shared.errors import Conflict
from shared.ids import Clock
from shared.store import AlreadyExists, Store
from shared.tenant import Tenant

_ACTOR = Actor("system", "bootstrap", PLATFORM_TENANT)


class Operators:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def bootstrap(self, name: str = "first operator") -> tuple[str, str]:
        """The platform's own tenant and one operator's service account: client id and secret, shown once.

        Raises `Conflict` `already_bootstrapped` the second time; `add` makes further accounts.
        """
        made = self._account(name)
        at = self._clock()
        platform = Tenant(
            id=PLATFORM_TENANT,
            slug=PLATFORM_TENANT,
            name="Platform operators",
            owner_email="",
            tier="enterprise",
            isolation="shared",
            status="active",
            contract_start=at.date(),
            created_at=at,
            updated_at=at,
        )
        try:
            await self._store.commit(
                records.create(tenant.key(self._store, PLATFORM_TENANT), platform),
                records.create(records.slug_key(self._store, PLATFORM_TENANT), Slug(PLATFORM_TENANT)),
                *made.writes,
            )
        except AlreadyExists:
            raise Conflict(
                "already_bootstrapped", "The platform has its first operator already, who can make others."
            ) from None
        return _credentials(made)

    async def add(self, name: str) -> tuple[str, str]:
        """One more operator's account: client id and secret. Raises `Conflict` `not_bootstrapped`."""
        doc = (await self._store.read(tenant.key(self._store, PLATFORM_TENANT)))[0]
        if doc is None:
            raise Conflict("not_bootstrapped", "Bootstrap the platform first.")
        made = self._account(name)
        await self._store.commit(*made.writes)
        return _credentials(made)

    def _account(self, name: str) -> Made:
        scopes = tuple(sorted(scopes_of(["operator"])))
        return service_accounts.make(
            self._store, PLATFORM_TENANT, name, scopes, ("operator",), _ACTOR, self._clock
        )


def _credentials(made: Made) -> tuple[str, str]:
    return client_id.of(PLATFORM_TENANT, made.account.id), made.secret
