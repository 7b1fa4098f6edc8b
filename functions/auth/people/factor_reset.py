"""An admin removes all second factors of somebody who has lost them."""

from functions.auth import caller_in_force, caller_rules, records, standing
from functions.auth.caller_rules import require_recent
from functions.auth.domain import factors as factor_rules
from functions.auth.domain.people import User
from functions.auth.factors import factor_documents
from functions.auth.factors.factor_log import FactorLog
from functions.auth.people import users
from functions.auth.roles.roles_of_tenant import Roles
from shared import tenant
from shared.audit import Actor
from shared.errors import Conflict
from shared.identity import Principal
from shared.ids import Clock, is_id
from shared.store import Store, until_not_stale


class FactorReset:
    def __init__(self, store: Store, roles: Roles, log: FactorLog, clock: Clock) -> None:
        self._store = store
        self._roles = roles
        self._log = log
        self._clock = clock

    async def reset(self, principal: Principal, actor: Actor, user_id: str) -> None:
        """Removes all second factors of a user. Does nothing if there are none.

        Raises `NotFound` `user_not_found`; `Forbidden` `step_up_required`, `first_party_only`, and
        `role_not_grantable` for somebody above the caller; `Conflict` `own_factors`; and what
        `standing.of_caller` raises.
        """
        if not is_id(user_id):
            raise users.not_found()
        if user_id == principal.subject:
            raise Conflict("own_factors", "Your own factors are under /v1/me/factors.")

        async def attempt() -> None:
            at, tenant_id = self._clock(), principal.tenant_id
            require_recent(principal, at)
            caller_rules.require_first_party(principal)
            factors_key = factor_documents.factors_key(self._store, tenant_id, user_id)
            tenant_doc, user_doc, factors_doc = await self._store.read(
                tenant.key(self._store, tenant_id),
                records.user_key(self._store, tenant_id, user_id),
                factors_key,
            )
            owner, user = standing.of_caller(tenant_doc, principal), records.found(user_doc, User)
            if user is None:
                raise users.not_found()
            await self._roles.require_over(principal, user.value.role)
            kept = factor_documents.factors(factors_key, factors_doc)
            methods = factor_rules.enrolled(kept.value)
            if not methods and kept.value.pending_totp is None:
                return
            told = self._log.writes(
                tenant_id,
                user_id,
                "factors.reset",
                "user.factors_reset",
                actor,
                at,
                methods=" ".join(methods),
            )
            gone = factor_documents.deletes(self._store, tenant_id, kept)
            writes = (*told, *gone, owner.check(), user.check())
            still = await caller_in_force.checks(self._store, principal, self._clock, writes)
            await self._store.commit(*writes, *still)

        await until_not_stale(attempt)
