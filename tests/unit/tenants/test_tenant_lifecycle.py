"""Tenants as operators handle them: taken on, looked up, suspended, resumed."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from functions.tenants.domain.lifecycle import Status
from functions.tenants.lifecycle import TenantRequest
from shared.errors import BadRequest, Conflict, Invalid, NotFound
from shared.identity import Principal
from shared.payloads import StepRequested, TenantChanged
from shared.tenant import Tenant
from shared.tiers import LIMITS
from tests.tokens import NOW
from tests.unit.tenants.world import ACME, OPERATOR, World

pytestmark = pytest.mark.anyio

BOTH = ["auth-events", "billing-events"]


def caller(tenant_id: str, *scopes: str) -> Principal:
    return Principal(tenant_id, "usr_1", "web", frozenset(scopes), (), "standard", "jti_1", NOW, NOW)


def request(slug: str) -> TenantRequest:
    return msgspec.structs.replace(ACME, slug=slug)


async def test_a_new_tenant_is_provisioning_and_asks_the_cluster_once(world: World) -> None:
    made = await world.lifecycle.create(ACME, OPERATOR)

    assert made == await world.tenant(made.id)
    assert (made.status, made.isolation, made.contract_start) == ("provisioning", "shared", date(2026, 3, 4))
    assert made.created_at == made.updated_at == NOW
    operation = await world.operation(made.id)
    assert (operation.status, operation.step, operation.requested_at) == ("pending", "provision", NOW)
    assert world.steps() == [
        StepRequested(operation.id, "provision", "acme", "standard", "shared", LIMITS["standard"])
    ]


async def test_auth_and_billing_hear_of_a_new_tenant(world: World) -> None:
    made = await world.lifecycle.create(ACME, OPERATOR)

    for topic in BOTH:
        (event,) = world.events(topic)
        assert (event.type, event.subject) == ("ai.energent.tenant.created.v1", made.id)
        data = msgspec.json.decode(event.data, type=TenantChanged)
        assert (data.slug, data.owner_email, data.status) == ("acme", "owner@acme.example", "provisioning")


async def test_a_slug_leads_to_its_tenant(world: World) -> None:
    made = await world.lifecycle.create(ACME, OPERATOR)
    doc = await world.store.platform().get("slugs", "acme")
    assert doc is not None
    assert doc.body == {"tenant_id": made.id}


async def test_a_taken_slug_is_a_conflict_and_leaves_nothing_behind(world: World) -> None:
    first = await world.lifecycle.create(ACME, OPERATOR)
    with pytest.raises(Conflict) as refused:
        await world.lifecycle.create(ACME, OPERATOR)

    assert refused.value.code == "slug_taken"
    assert [found.id for found in (await world.lifecycle.listed(100, None)).items] == [first.id]
    assert world.published("auth-events") == ["tenant.created"]


async def test_of_many_who_want_one_slug_at_once_one_gets_it(world: World) -> None:
    """T13, T14: no loser leaves a tenant, an event or an audit record."""
    results = await asyncio.gather(
        *(world.lifecycle.create(ACME, OPERATOR) for _ in range(16)), return_exceptions=True
    )

    winners = [result for result in results if isinstance(result, Tenant)]
    losers = [result.code for result in results if isinstance(result, Conflict)]
    assert (len(winners), losers) == (1, ["slug_taken"] * 15)
    assert (await world.lifecycle.listed(100, None)).items == winners
    assert sorted(world.published()) == ["tenant.created", "tenant.created", "tenant.step.requested"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"slug": "platform"}, "/slug"),
        ({"slug": "A"}, "/slug"),
        ({"name": "a\tb"}, "/name"),
        ({"owner_email": "nobody"}, "/owner_email"),
        ({"contract_start": date(2030, 1, 1)}, "/contract_start"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_made(
    world: World, changes: dict[str, object], path: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await world.lifecycle.create(msgspec.structs.replace(ACME, **changes), OPERATOR)

    assert [field.path for field in refused.value.fields] == [path]
    assert (await world.lifecycle.listed(1, None)).items == []
    assert world.bus.messages == []


async def test_a_tenant_reads_itself_and_an_operator_reads_any(world: World) -> None:
    made = await world.lifecycle.create(ACME, OPERATOR)
    assert await world.lifecycle.get(made.id, caller(made.id, "tenant:read")) == made
    assert await world.lifecycle.get(made.id, caller("platform", "platform:tenants:read")) == made


async def test_a_foreign_an_unknown_and_an_impossible_id_are_refused_alike(world: World) -> None:
    """T4, T5, T7."""
    foreign = (await world.lifecycle.create(ACME, OPERATOR)).id
    own = (await world.lifecycle.create(request("other"), OPERATOR)).id
    refusals = set()
    for tenant_id in (foreign, "tnt_unknown", "", "..", "a/b", "__x__", "x" * 1501, "a\0b", "%2f", "é"):
        for who in (caller(own, "tenant:read"), caller("platform", "platform:tenants:read")):
            if tenant_id == foreign and who.tenant_id == "platform":
                continue
            with pytest.raises(NotFound) as refused:
                await world.lifecycle.get(tenant_id, who)
            refusals.add((refused.value.code, refused.value.detail))
    assert refusals == {("tenant_not_found", "There is no such tenant. Check its id.")}


async def test_a_tenant_without_the_scope_does_not_read_itself(world: World) -> None:
    made = await world.lifecycle.create(ACME, OPERATOR)
    for scopes in ((), ("usage:read",), ("platform:tenants:write",)):
        with pytest.raises(NotFound):
            await world.lifecycle.get(made.id, caller(made.id, *scopes))


@pytest.mark.parametrize("tenant_id", ["tnt_unknown", "a/b", "", "x" * 1501, "a\0b"])
async def test_an_unknown_tenant_is_neither_suspended_nor_resumed(world: World, tenant_id: str) -> None:
    with pytest.raises(NotFound):
        await world.lifecycle.suspend(tenant_id, "abuse", OPERATOR)
    with pytest.raises(NotFound):
        await world.lifecycle.resume(tenant_id, OPERATOR)


async def test_a_list_comes_oldest_first_in_parts_that_join(world: World) -> None:
    made = []
    for number in range(5):
        made.append((await world.lifecycle.create(request(f"acme-{number}"), OPERATOR)).id)
        world.clock.move(1)

    found: list[str] = []
    cursor = None
    for expected in (2, 2, 1):
        part = await world.lifecycle.listed(2, cursor)
        assert len(part.items) == expected
        found += [tenant.id for tenant in part.items]
        cursor = part.next_cursor
    assert (found, cursor) == (made, None)


@pytest.mark.parametrize("cursor", ["x", "e30", "WyJhIl0", "é", "=" * 20])
async def test_a_cursor_that_is_none_of_ours_is_a_bad_request(world: World, cursor: str) -> None:
    with pytest.raises(BadRequest) as refused:
        await world.lifecycle.listed(2, cursor)
    assert refused.value.code == "invalid_cursor"


async def test_a_suspension_is_stored_announced_and_recorded(world: World) -> None:
    tenant = await world.tenant_in("active")
    world.clock.move(60)
    suspended = await world.lifecycle.suspend(tenant.id, "non_payment", OPERATOR)

    at = NOW + timedelta(seconds=60)
    assert suspended == await world.tenant(tenant.id)
    assert suspended == msgspec.structs.replace(
        tenant, status="suspended", status_reason="non_payment", tokens_valid_after=at, updated_at=at
    )
    for topic in BOTH:
        event = world.events(topic)[-1]
        assert (event.type, event.subject) == ("ai.energent.tenant.suspended.v1", tenant.id)
        assert msgspec.json.decode(event.data, type=TenantChanged).status == "suspended"
    record = (await world.audit(tenant.id))[-1]
    assert (record.action, record.actor, record.target, record.at) == (
        "tenant.suspend",
        OPERATOR,
        tenant.id,
        at,
    )
    assert record.detail == {"status": "suspended", "reason": "non_payment"}


async def test_suspending_again_changes_announces_and_records_nothing(world: World) -> None:
    tenant = await world.tenant_in("suspended")
    before = (len(world.bus.messages), len(await world.audit(tenant.id)))
    world.clock.move(60)

    assert await world.lifecycle.suspend(tenant.id, "security", OPERATOR) == tenant
    assert (len(world.bus.messages), len(await world.audit(tenant.id))) == before


async def test_a_resumed_tenant_works_but_its_old_tokens_do_not(world: World) -> None:
    """T11."""
    suspended = await world.tenant_in("suspended")
    world.clock.move(60)
    resumed = await world.lifecycle.resume(suspended.id, OPERATOR)

    assert (resumed.status, resumed.status_reason) == ("active", "")
    assert resumed.tokens_valid_after == suspended.tokens_valid_after == datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert [world.published(topic)[-1] for topic in BOTH] == ["tenant.resumed", "tenant.resumed"]


async def test_the_platform_tenant_cannot_be_suspended(world: World) -> None:
    tenant = await world.tenant_in("active")
    await world.put(msgspec.structs.replace(tenant, id="platform", slug="platform"))
    with pytest.raises(Conflict) as refused:
        await world.lifecycle.suspend("platform", "security", OPERATOR)
    assert refused.value.code == "platform_tenant"
    assert (await world.tenant("platform")).status == "active"


@pytest.mark.parametrize("status", ["provisioning", "failed"])
async def test_what_is_not_active_yet_is_neither_suspended_nor_resumed(world: World, status: Status) -> None:
    tenant = await world.tenant_in(status)
    for move in (
        world.lifecycle.suspend(tenant.id, "abuse", OPERATOR),
        world.lifecycle.resume(tenant.id, OPERATOR),
    ):
        with pytest.raises(Conflict) as refused:
            await move
        assert refused.value.code == "illegal_transition"
    assert await world.tenant(tenant.id) == tenant


async def test_of_many_suspensions_at_once_one_is_made(world: World) -> None:
    """T13: one winner, one event, one audit record; all are answered the same."""
    tenant = await world.tenant_in("active")
    answers = await asyncio.gather(
        *(world.lifecycle.suspend(tenant.id, "abuse", OPERATOR) for _ in range(16))
    )

    assert {answer.status for answer in answers} == {"suspended"}
    assert world.published("auth-events").count("tenant.suspended") == 1
    assert [record.action for record in await world.audit(tenant.id)].count("tenant.suspend") == 1


async def test_suspending_resuming_and_activating_at_once_ends_in_one_story(world: World) -> None:
    """T13: what was announced and recorded, replayed in its order, ends where the tenant stands."""
    tenant = await world.tenant_in("provisioning")
    operation = await world.operation(tenant.id)
    moves: list[Coroutine[Any, Any, object]] = []
    for _ in range(8):
        moves.append(world.report(tenant.id, operation, "succeeded"))
        moves.append(world.lifecycle.suspend(tenant.id, "abuse", OPERATOR))
        moves.append(world.lifecycle.resume(tenant.id, OPERATOR))
    results = await asyncio.gather(*moves, return_exceptions=True)

    wrong = [result for result in results if isinstance(result, BaseException)]
    assert all(isinstance(result, Conflict) and result.code == "illegal_transition" for result in wrong)
    told = [name for name in world.published("auth-events") if name != "tenant.created"]
    assert told.count("tenant.activated") == 1
    suspensions, resumptions = told.count("tenant.suspended"), told.count("tenant.resumed")
    status = (await world.tenant(tenant.id)).status
    assert status == ("suspended" if suspensions > resumptions else "active")
    assert suspensions - resumptions in (0, 1)
    recorded = [record.action for record in await world.audit(tenant.id)]
    assert sorted(recorded) == sorted(
        ["tenant.create", "tenant.activate"]
        + ["tenant.suspend"] * suspensions
        + ["tenant.resume"] * resumptions
    )


async def test_what_the_bus_did_not_take_is_published_by_the_sweep(world: World) -> None:
    """T14: the suspension stands though nobody could be told; the sweep tells both topics once."""
    tenant = await world.tenant_in("active")
    world.bus.refusals = 2
    told_before = len(world.bus.messages)
    suspended = await world.lifecycle.suspend(tenant.id, "abuse", OPERATOR)

    assert suspended.status == (await world.tenant(tenant.id)).status == "suspended"
    world.bus.refusals = 0
    world.clock.move(6)
    await world.sweep()
    await world.sweep()

    told = [event.type for event in world.events()[told_before:]]
    assert told == ["ai.energent.tenant.suspended.v1"] * 2


@pytest.mark.parametrize("status", get_args(Status))
async def test_every_change_has_one_audit_record(world: World, status: Status) -> None:
    """G5."""
    tenant = await world.tenant_in(status)
    expected = {
        "provisioning": ["tenant.create"],
        "active": ["tenant.create", "tenant.activate"],
        "suspended": ["tenant.create", "tenant.activate", "tenant.suspend"],
        "failed": ["tenant.create", "tenant.fail"],
    }
    records = await world.audit(tenant.id)
    assert sorted(record.action for record in records) == sorted(expected[status])
    assert {record.target for record in records} == {tenant.id}
