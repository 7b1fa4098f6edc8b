"""A tenant's security policy: read and replaced by its own people."""

from functions.auth import caller_in_force, caller_rules, records, standing
from functions.auth.caller_rules import require_recent
from functions.auth.domain import security_policy
from functions.auth.domain.security_policy import SecurityPolicy
from functions.auth.factors import factor_documents
from shared import audit, tenant
from shared.audit import Actor
from shared.identity import Principal
from shared.ids import Clock
from shared.outbox import Outbox
from shared.store import Store, until_not_stale


class TenantSecurity:
    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock

    async def policy(self, tenant_id: str) -> SecurityPolicy:
        """The policy of a tenant, or the default."""
        key = factor_documents.policy_key(self._store, tenant_id)
        return factor_documents.policy(key, (await self._store.read(key))[0]).value

    async def replace(self, principal: Principal, actor: Actor, wanted: SecurityPolicy) -> SecurityPolicy:
        """Sets the policy, which applies to each user's next sign-in. Does nothing if it is unchanged.

        Raises `Invalid`, `Forbidden` `step_up_required` and `first_party_only`, and what
        `standing.of_caller` raises.
        """
        policy = security_policy.checked(wanted)
        key = factor_documents.policy_key(self._store, principal.tenant_id)

        async def attempt() -> None:
            at = self._clock()
            require_recent(principal, at)
            caller_rules.require_first_party(principal)
            tenant_doc, policy_doc = await self._store.read(tenant.key(self._store, principal.tenant_id), key)
            owner = standing.of_caller(tenant_doc, principal)
            kept = factor_documents.policy(key, policy_doc)
            if kept.value == policy:
                return
            detail = {"second_factor": policy.second_factor, "methods": " ".join(policy.methods)}
            recorded = audit.record(
                self._store,
                principal.tenant_id,
                actor=actor,
                action="security_policy.replace",
                target="security",
                at=at,
                detail=detail,
            )
            events = self._outbox.entries("security.policy_changed", principal.tenant_id, detail)
            still = await caller_in_force.checks(self._store, principal, self._clock)
            writes = (recorded, *events, kept.write(policy), owner.check(), *still)
            await records.commit(self._store, *writes)

        await until_not_stale(attempt)
        return policy
