"""Changes to service accounts: name, scopes, status. Secrets, keys and deletion are in `HolderChanges`."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from functions.auth import records
from functions.auth.credentials.holder_changes import HolderChanges, HolderKind
from functions.auth.domain import machines, people
from functions.auth.domain.machines import ServiceAccount, Status
from functions.auth.machines.service_accounts import not_found
from shared import revocations
from shared.audit import Actor
from shared.event_door import Rejected
from shared.identity import Principal
from shared.ids import Clock, is_id
from shared.outbox import Outbox
from shared.store import Store


class ServiceAccountChanges(HolderChanges[ServiceAccount]):
    """A disabled account gets no tokens, and its access tokens end. If it is enabled within a minute, it may
    be refused for the rest of that minute. Fewer scopes end the access tokens that were issued with more.
    """

    def __init__(self, store: Store, outbox: Outbox, clock: Clock, forget: Callable[[str], None]) -> None:
        super().__init__(_SERVICE_ACCOUNTS, store, outbox, clock, forget)

    async def update(
        self,
        principal: Principal,
        actor: Actor,
        account_id: str,
        *,
        name: str | None = None,
        scopes: list[str] | None = None,
        status: Status | None = None,
    ) -> ServiceAccount:
        """None leaves a field as it is.

        Raises `Invalid`, and `Forbidden` `scope_not_grantable`, also for who enables one that may more, or
        gives it other scopes: a secret that somebody adds to one that may less would be worth what it may
        again one day.
        """
        fields: dict[str, object] = {}
        if name is not None:
            fields["name"] = people.display_name(name)
        if scopes is not None:
            fields["scopes"] = machines.grantable(scopes, principal.scopes, principal.tenant_id)
        if status is not None:
            fields["status"] = status

        def decide(account: ServiceAccount, at: datetime) -> ServiceAccount:
            after = msgspec.structs.replace(account, **fields)
            is_back = account.status == "disabled" and after.status == "active"
            if is_back or after.scopes != account.scopes:
                _require_equal(account, principal)
            return after

        return await self._change(principal, actor, account_id, decide, lambda account: account)

    async def end_access_of(self, tenant_id: str, account_id: str) -> None:
        """Ends an account's access tokens again, some time after the commit that ended them: for tokens that
        were issued by the old state during that commit. Raises `Rejected` for what can be no id.
        """
        if not (is_id(tenant_id) and is_id(account_id)):
            raise Rejected("unknown_service_account", "There is no such service account.")
        await self._store.commit(revocations.record(self._store, tenant_id, account_id, self._clock()))


def _require_equal(account: ServiceAccount, caller: Principal) -> None:
    machines.require_equal(account, caller.scopes, caller.roles)


_SERVICE_ACCOUNTS = HolderKind(
    "service_account",
    ServiceAccount,
    records.service_account_key,
    not_found,
    _require_equal,
    machines.over_at,
)
