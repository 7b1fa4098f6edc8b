"""Use-cases of provisioning: take the cluster's reports, and repeat requests that it has not answered."""

import logging

from functions.tenants import records
from functions.tenants.domain import lifecycle, operations
from functions.tenants.domain.operations import Operation, Outcome
from functions.tenants.records import Found
from functions.tenants.transition import Transitions, standing
from shared.audit import Actor
from shared.event_door import Rejected
from shared.ids import Clock
from shared.outbox import Outbox
from shared.payloads import StatusReported, StepRequested
from shared.store import Store, until_not_stale
from shared.tenant import Tenant
from shared.tiers import LIMITS

_log = logging.getLogger(__name__)


def step_requested(tenant: Tenant, operation: Operation) -> StepRequested:
    """The request to the cluster. A repeated request has the same operation id."""
    return StepRequested(
        operation_id=operation.id,
        step=operation.step,
        slug=tenant.slug,
        tier=tenant.tier,
        isolation=tenant.isolation,
        limits=LIMITS[tenant.tier],
    )


class Provisioning:
    """A tenant is `provisioning` exactly while its operation is pending; both change in one commit."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._transitions = Transitions(store, outbox)

    async def reported(self, tenant_id: str, report: StatusReported, actor: Actor) -> None:
        """The first report closes the operation; any later one changes nothing.

        Raises Rejected for an operation this tenant does not have, or a report that does not fit it.
        """

        async def attempt() -> None:
            found = await records.tenant_and_operation(self._store, tenant_id, report.operation_id)
            if found is None:
                raise Rejected("unknown_operation", "This tenant has no such operation.")
            outcome = _outcome(report, found[1].value)
            if found[1].value.status != "pending":
                _log.info("operation %s is closed; a report changes nothing", report.operation_id)
                return
            await self._close(*found, outcome, report.message, "provisioning_failed", actor)

        await until_not_stale(attempt)

    async def ask_again(self, actor: Actor) -> None:
        """Repeats requests that have been pending for a minute. After five repeats the tenant fails."""
        before = operations.overdue_since(self._clock())
        async for tenant_id, operation_id in records.overdue_operations(self._store, before):
            await self._ask_one_again(tenant_id, operation_id, actor)

    async def _ask_one_again(self, tenant_id: str, operation_id: str, actor: Actor) -> None:
        async def attempt() -> None:
            found = await records.tenant_and_operation(self._store, tenant_id, operation_id)
            if found is None or not operations.is_overdue(found[1].value, self._clock()):
                return
            tenant, operation = found
            if operations.is_exhausted(operation.value):
                await self._close(tenant, operation, "failed", "", "no_answer", actor)
            else:
                await self._repeat(tenant.value, operation)

        await until_not_stale(attempt)

    async def _repeat(self, tenant: Tenant, operation: Found[Operation]) -> None:
        again = operations.repeated(operation.value, self._clock())
        data = step_requested(tenant, again)
        await self._store.commit(
            operation.replace(again), *self._outbox.entries("tenant.step.requested", tenant.id, data)
        )

    async def _close(
        self,
        tenant: Found[Tenant],
        operation: Found[Operation],
        outcome: Outcome,
        message: str,
        why_failed: str,
        actor: Actor,
    ) -> None:
        at = self._clock()
        succeeded = outcome == "succeeded"
        before = standing(tenant.value)
        await self._transitions.commit(
            tenant,
            lifecycle.activate(before) if succeeded else lifecycle.fail(before, why_failed),
            operation.replace(operations.closed(operation.value, outcome, message, at)),
            action="tenant.activate" if succeeded else "tenant.fail",
            events=["tenant.activated"] if succeeded else [],
            actor=actor,
            at=at,
        )


def _outcome(report: StatusReported, operation: Operation) -> Outcome:
    if report.step != operation.step:
        raise Rejected("wrong_step", "The operation has another step.")
    if report.status == "succeeded":
        return "succeeded"
    if report.status == "failed":
        return "failed"
    raise Rejected("unknown_status", "A step has succeeded or failed.")
