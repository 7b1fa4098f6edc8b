"""Provisioning: the cluster reports once, twice, late, wrongly or never."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from functions.tenants.domain.lifecycle import Status
from functions.tenants.domain.operations import Operation
from shared.bus import TENANT_EVENTS
from shared.errors import Unavailable
from shared.event_door import Rejected
from shared.events import DESTINATIONS
from shared.outbox import Outbox
from shared.payloads import TenantChanged
from shared.tenant import Tenant
from tests.tokens import NOW
from tests.unit.tenants.world import ACME, OPERATOR, World

pytestmark = pytest.mark.anyio


async def asked(world: World, slug: str = "acme") -> tuple[Tenant, Operation]:
    tenant = await world.lifecycle.create(msgspec.structs.replace(ACME, slug=slug), OPERATOR)
    return tenant, await world.operation(tenant.id)


async def everything(world: World, tenant: Tenant) -> tuple[Any, ...]:
    return (
        await world.tenant(tenant.id),
        await world.operation(tenant.id),
        await world.audit(tenant.id),
        len(world.bus.messages),
    )


async def test_a_success_activates_the_tenant_closes_the_operation_and_is_announced(world: World) -> None:
    tenant, operation = await asked(world)
    world.clock.move(5)
    await world.report(tenant.id, operation, "succeeded")

    at = NOW + timedelta(seconds=5)
    assert await world.tenant(tenant.id) == msgspec.structs.replace(tenant, status="active", updated_at=at)
    closed = await world.operation(tenant.id)
    assert (closed.status, closed.closed_at) == ("succeeded", at)
    for topic in ("auth-events", "billing-events"):
        event = world.events(topic)[-1]
        assert (event.type, event.subject) == ("ai.energent.tenant.activated.v1", tenant.id)
        assert msgspec.json.decode(event.data, type=TenantChanged).status == "active"


async def test_a_failure_fails_the_tenant_and_keeps_the_clusters_word(world: World) -> None:
    tenant, operation = await asked(world)
    await world.report(tenant.id, operation, "failed", message="no quota left")

    failed = await world.tenant(tenant.id)
    assert (failed.status, failed.status_reason) == ("failed", "provisioning_failed")
    closed = await world.operation(tenant.id)
    assert (closed.status, closed.message) == ("failed", "no quota left")
    assert world.published("auth-events") == ["tenant.created"]


async def test_the_system_is_recorded_as_the_one_who_activated(world: World) -> None:
    tenant, operation = await asked(world)
    await world.report(tenant.id, operation, "succeeded")
    (record,) = [one for one in await world.audit(tenant.id) if one.action == "tenant.activate"]
    assert (record.actor.kind, record.actor.id, record.actor.request_id) == ("system", "//cluster", "evt_1")


@pytest.mark.parametrize("first", ["succeeded", "failed"])
@pytest.mark.parametrize("second", ["succeeded", "failed"])
async def test_a_second_report_changes_nothing(world: World, first: str, second: str) -> None:
    tenant, operation = await asked(world)
    await world.report(tenant.id, operation, first)
    before = await everything(world, tenant)
    world.clock.move(3600)
    await world.report(tenant.id, operation, second, message="again")

    assert await everything(world, tenant) == before


async def test_a_late_report_does_not_resume_a_suspended_tenant(world: World) -> None:
    suspended = await world.tenant_in("suspended")
    before = await everything(world, suspended)
    await world.report(suspended.id, await world.operation(suspended.id), "succeeded")

    assert await everything(world, suspended) == before


async def test_of_contrary_reports_at_once_one_counts(world: World) -> None:
    """T13: activated or failed, never both, announced and recorded as it is."""
    tenant, operation = await asked(world)
    await asyncio.gather(
        *(world.report(tenant.id, operation, status) for status in ("succeeded", "failed") * 8)
    )

    status = (await world.tenant(tenant.id)).status
    assert status in ("active", "failed")
    outcome = (await world.operation(tenant.id)).status
    assert outcome == ("succeeded" if status == "active" else "failed")
    assert world.published("auth-events").count("tenant.activated") == (status == "active")
    assert len(await world.audit(tenant.id)) == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"operation_id": "op_unknown"}, "unknown_operation"),
        ({"operation_id": ""}, "unknown_operation"),
        ({"operation_id": "../x"}, "unknown_operation"),
        ({"operation_id": "x" * 1501}, "unknown_operation"),
        ({"step": "deprovision"}, "wrong_step"),
        ({"status": "maybe"}, "unknown_status"),
        ({"status": 1}, "invalid_data"),
        ({"more": 1}, "invalid_data"),
        ({"operation_id": None}, "invalid_data"),
    ],
)
async def test_a_report_that_can_never_fit_is_rejected(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    tenant, operation = await asked(world)
    before = await everything(world, tenant)
    good = {"operation_id": operation.id, "step": "provision", "status": "succeeded"}
    with pytest.raises(Rejected) as rejected:
        await world.deliver("tenant.status.reported", tenant.id, good | changes)

    assert rejected.value.reason == reason
    assert await everything(world, tenant) == before


@pytest.mark.parametrize("stranger", ["tnt_unknown", "", "a/b", "x" * 1501])
async def test_a_report_about_an_unknown_tenant_is_rejected(world: World, stranger: str) -> None:
    _, operation = await asked(world)
    with pytest.raises(Rejected) as rejected:
        await world.report(stranger, operation, "succeeded")
    assert rejected.value.reason == "unknown_operation"


async def test_a_report_about_another_tenants_operation_is_rejected(world: World) -> None:
    """T4: under its own tenant the operation exists, under this one it does not."""
    tenant, operation = await asked(world)
    other, _ = await asked(world, "other")
    with pytest.raises(Rejected):
        await world.report(other.id, operation, "succeeded")

    assert (await world.tenant(other.id)).status == "provisioning"
    assert (await world.tenant(tenant.id)).status == "provisioning"


async def test_a_step_is_not_asked_for_again_within_a_minute(world: World) -> None:
    await asked(world)
    world.clock.move(60)
    await world.sweep()
    assert len(world.steps()) == 1


async def test_a_step_without_an_answer_is_asked_for_again_as_the_same_operation(world: World) -> None:
    tenant, operation = await asked(world)
    world.clock.move(61)
    await world.sweep()

    first, again = world.steps()
    assert first == again
    assert again.operation_id == operation.id
    repeated = await world.operation(tenant.id)
    assert (repeated.repeats, repeated.requested_at) == (1, NOW + timedelta(seconds=61))
    assert len({event.id for event in world.events("tenant-events")}) == 2


async def test_a_silent_cluster_is_asked_six_times_and_then_the_tenant_has_failed(world: World) -> None:
    tenant, _ = await asked(world)
    for _ in range(5):
        world.clock.move(61)
        await world.sweep()
    assert (len(world.steps()), (await world.tenant(tenant.id)).status) == (6, "provisioning")

    for _ in range(3):
        world.clock.move(61)
        await world.sweep()

    failed = await world.tenant(tenant.id)
    assert (failed.status, failed.status_reason) == ("failed", "no_answer")
    assert (await world.operation(tenant.id)).status == "failed"
    assert len(world.steps()) == 6
    assert sorted(record.action for record in await world.audit(tenant.id)) == [
        "tenant.create",
        "tenant.fail",
    ]


async def test_an_answer_between_the_repeats_ends_them(world: World) -> None:
    tenant, operation = await asked(world)
    world.clock.move(61)
    await world.sweep()
    await world.report(tenant.id, operation, "succeeded")
    world.clock.move(61)
    await world.sweep()

    assert len(world.steps()) == 2
    assert (await world.tenant(tenant.id)).status == "active"


async def test_an_answer_after_the_tenant_was_given_up_changes_nothing(world: World) -> None:
    tenant, operation = await asked(world)
    for _ in range(6):
        world.clock.move(61)
        await world.sweep()
    before = await everything(world, tenant)
    await world.report(tenant.id, operation, "succeeded")

    assert await everything(world, tenant) == before
    assert before[0].status == "failed"


async def test_sweeps_at_once_ask_once(world: World) -> None:
    await asked(world)
    world.clock.move(61)
    await asyncio.gather(*(world.sweep() for _ in range(8)))
    assert len(world.steps()) == 2


async def test_who_waits_is_asked_for_again_though_events_cannot_leave(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Outbox) -> int:
        raise Unavailable("bus_unavailable", "The bus did not answer.")

    monkeypatch.setattr(Outbox, "sweep", fail)
    await asked(world)
    world.clock.move(61)
    with pytest.raises(Unavailable):
        await world.sweep()
    assert len(world.steps()) == 2


async def test_one_sweep_asks_for_every_tenant_that_waits(world: World) -> None:
    """More tenants than one part of the query holds."""
    for number in range(103):
        await asked(world, f"acme-{number}")
    world.clock.move(61)
    world.bus.messages.clear()
    await world.sweep()

    assert len({step.operation_id for step in world.steps()}) == 103


async def test_active_suspended_and_failed_tenants_are_asked_for_nothing(world: World) -> None:
    statuses: tuple[Status, ...] = ("active", "suspended", "failed")
    for status in statuses:
        await world.tenant_in(status, msgspec.structs.replace(ACME, slug=f"{status}-co"))
    world.bus.messages.clear()
    world.clock.move(3600)
    await world.sweep()
    assert world.bus.messages == []


async def test_a_request_that_was_never_published_goes_out_with_the_sweep(world: World) -> None:
    """T14: a crash between commit and publication; the tenant is provisioned all the same."""
    world.bus.refusals = 3
    tenant, operation = await asked(world)
    assert world.steps() == []
    world.bus.refusals = 0
    world.clock.move(6)
    await world.sweep()

    (step,) = world.steps()
    await world.report(tenant.id, operation, "succeeded")
    assert step.operation_id == operation.id
    assert (await world.tenant(tenant.id)).status == "active"


@pytest.mark.parametrize("name", ["tenant.step.requested", "invoice.finalized"])
async def test_what_only_passes_by_is_taken_and_changes_nothing(world: World, name: str) -> None:
    tenant, _ = await asked(world)
    before = await everything(world, tenant)
    await world.deliver(name, tenant.id, {"anything": 1})
    assert await everything(world, tenant) == before


async def test_every_event_on_the_topic_has_a_handler(world: World) -> None:
    on_topic = {name for name, topics in DESTINATIONS.items() if TENANT_EVENTS in topics}
    assert set(world.handlers) == on_topic
