"""`usage.recorded`: every event counts once, however often and wherever it arrives."""

import asyncio
from datetime import timedelta

import pytest

from functions.billing import records
from functions.tenants.quarantine import Shelf
from shared.audit import Actor
from shared.errors import Unavailable
from tests.unit.billing.faulty_store import Crash, FaultyStore
from tests.unit.billing.world import NOON, World, used

pytestmark = pytest.mark.anyio

MARCH = ("agent_minutes", "2026-03")
OPERATOR = Actor("service_account", "sa_ops", "platform")


async def test_an_event_is_kept_and_counted_in_its_quarter_hour(world: World) -> None:
    await world.use(used("a", "1.5", at=NOON), used("b", 2, at=NOON + timedelta(minutes=4)))
    page = await world.store.tenant(world.tenant_id).query(records.COUNTERS_BY_DAY)
    (counter,) = page.docs
    assert {name: counter.body[name] for name in ("meter", "day", "s48", "n48")} == {
        "meter": "agent_minutes",
        "day": "2026-03-15",
        "s48": 3_500_000,
        "n48": 2,
    }
    assert counter.key.id == f"agent_minutes.2026-03-15.{counter.body['shard']}"
    key = records.event_key(world.store.tenant(world.tenant_id), world.tenant_id, "//acme/agents", "a")
    (event,) = await world.store.read(key)
    assert event is not None
    assert event.body == {
        "source": "//acme/agents",
        "id": "a",
        "meter": "agent_minutes",
        "quantity_micro": 1_500_000,
        "time": "2026-03-15T12:00:00.000000Z",
        "received_at": "2026-03-15T12:00:00.000000Z",
    }


async def test_a_redelivered_message_is_counted_once_and_its_bad_events_are_kept_once(world: World) -> None:
    """P10, P12"""
    for _ in range(4):
        await world.use(used("a", 5), used("bad", -1), used("b", 7), message_id="m1")
    assert await world.counted() == {MARCH: 12_000_000}
    assert await world.events_counted() == 2
    assert await world.reasons() == ["usage_bad_quantity"]


async def test_overlapping_messages_count_what_is_new_in_each(world: World) -> None:
    await world.use(used("a"), used("b"))
    await world.use(used("b"), used("c"))
    await world.use(used("c"), used("a"), used("d"))
    assert await world.counted() == {MARCH: 4_000_000}


async def test_the_same_event_twice_in_one_message_counts_once(world: World) -> None:
    await world.use(used("a", "3.0"), used("a", 3), used("a", "3"))
    assert await world.counted() == {MARCH: 3_000_000}
    assert await world.quarantined() == []


async def test_the_same_instant_in_another_zone_is_the_same_event(world: World) -> None:
    await world.use(used("a", at="2026-03-15T10:00:00Z"))  # type: ignore[arg-type]
    await world.use(used("a", at="2026-03-15T12:30:00+02:30"))  # type: ignore[arg-type]
    assert await world.counted() == {MARCH: 1_000_000}
    assert await world.quarantined() == []


async def test_a_source_of_its_own_makes_it_another_event(world: World) -> None:
    """Length-prefixed: `a-b` + `c` is not `a` + `b-c`."""
    await world.use(used("a"), used("a", source="x"), used("ab", source="c"), used("b", source="ca"))
    assert await world.events_counted() == 4
    await world.use(used("a", source="//acme/agents"))
    assert await world.events_counted() == 4


async def test_the_same_names_of_two_tenants_are_two_events(world: World) -> None:
    other = World(world.store, "tnt_other")
    await other.add_tenant(id="tnt_other")
    await world.use(used("a", 1))
    await other.use(used("a", 2))
    assert await world.counted() == {MARCH: 1_000_000}
    assert await other.counted() == {MARCH: 2_000_000}


async def test_usage_of_a_suspended_tenant_is_recorded(world: World) -> None:
    """B12"""
    await world.change_tenant(status="suspended")
    await world.use(used("a"))
    assert await world.events_counted() == 1


async def test_a_tenant_made_a_moment_ago_is_known_at_once(world: World) -> None:
    other = World(world.store, "tnt_new")
    await other.use(used("a"))
    assert await world.reasons() == ["unknown_tenant"]
    await other.add_tenant(id="tnt_new")
    await other.use(used("a"))
    assert await other.events_counted() == 1


@pytest.mark.parametrize(
    ("tenant_id", "status"),
    [("tnt_new", "provisioning"), ("tnt_new", "failed"), ("platform", "active"), ("platform", "suspended")],
)
async def test_usage_of_a_tenant_that_is_not_billed_is_set_aside_and_not_counted(
    world: World, tenant_id: str, status: str
) -> None:
    other = World(world.store, tenant_id)
    await other.add_tenant(id=tenant_id, status=status)
    await other.use(used("a"))
    assert await world.reasons() == ["tenant_not_billed"]
    assert await other.events_counted() == 0


async def test_usage_from_before_activation_counts_once_when_it_is_replayed_after_it(world: World) -> None:
    other = World(world.store, "tnt_new")
    await other.add_tenant(id="tnt_new", status="provisioning")
    await other.use(used("a", 2), used("b", 3), used("bad", -1))
    (kept,) = await world.quarantined()
    await other.change_tenant(status="active")
    await Shelf(world.store, world.outbox, world.now).replay(kept.id, OPERATOR)
    (sent,) = await world.sent()
    for _ in range(2):
        await other.deliver("usage.recorded", sent["data"], message_id="replayed")
    assert await other.counted() == {MARCH: 5_000_000}
    assert await world.reasons() == ["usage_bad_quantity"]


async def test_that_a_tenant_is_billed_is_asked_once_for_many_messages(world: World) -> None:
    faulty = FaultyStore(world.store)
    instance = World(faulty)
    for number in range(20):
        await instance.use(used(str(number)))
    assert faulty.steps == 20 + 1


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("2026-02-28T23:59:59.9999999Z", "2026-02-28T23:59:59.999999Z"),
        ("2026-02-28T23:59:59.999999999999Z", "2026-02-28T23:59:59.999999Z"),
        ("2026-03-01T00:29:59.9999999+00:30", "2026-02-28T23:59:59.999999Z"),
        ("2026-02-28T19:59:59.9999995-04:00", "2026-02-28T23:59:59.999999Z"),
        ("2026-02-28T23:59:59.1234564Z", "2026-02-28T23:59:59.123456Z"),
        ("2026-02-28T23:59:59.9Z", "2026-02-28T23:59:59.900000Z"),
        ("2026-02-28T23:59:59Z", "2026-02-28T23:59:59.000000Z"),
    ],
)
async def test_digits_beyond_microseconds_are_cut_so_no_month_is_reached_before_it_begins(
    world: World, written: str, kept: str
) -> None:
    await world.use(used("a", at=written), used("a", at=kept))  # type: ignore[arg-type]
    key = records.event_key(world.store.tenant(world.tenant_id), world.tenant_id, "//acme/agents", "a")
    (event,) = await world.store.read(key)
    assert event is not None
    assert event.body["time"] == kept
    assert await world.counted() == {("agent_minutes", "2026-02"): 1_000_000}
    assert await world.quarantined() == []


async def test_a_message_may_hold_500_events_over_many_days_all_bad_or_all_good(world: World) -> None:
    days = [NOON - timedelta(days=number % 90) for number in range(500)]
    await world.use(*(used(str(number), at=at) for number, at in enumerate(days)))
    assert await world.events_counted() == 500
    await world.use(*(used(str(number), at=at, quantity=2) for number, at in enumerate(days)))
    assert await world.reasons() == ["usage_conflict"] * 500
    assert await world.events_counted() == 500


async def test_an_outage_is_passed_on_and_the_message_counts_when_it_comes_again(world: World) -> None:
    """P20"""
    faulty = FaultyStore(world.store)
    instance = World(faulty)
    faulty.is_down = True
    with pytest.raises(Unavailable):
        await instance.use(used("a"), message_id="m")
    faulty.is_down = False
    await instance.use(used("a"), message_id="m")
    assert await world.events_counted() == 1


async def test_messages_that_overlap_on_two_instances_at_once_are_counted_exactly(world: World) -> None:
    """P10, P11: neither waits for the other, and both end well."""
    instances = [world, World(world.store), World(world.store)]
    pool = [used(str(number), number + 1) for number in range(120)]
    await asyncio.gather(
        *(
            instances[number % 3].use(*pool[start : start + 40])
            for number, start in enumerate([*range(0, 90, 7), *range(0, 90, 11)])
        )
    )
    assert await world.events_counted() == 120
    assert await world.counted() == {MARCH: sum(range(1, 121)) * 1_000_000}
    assert await world.quarantined() == []


async def test_two_different_events_of_one_name_on_two_instances_leave_one(world: World) -> None:
    """P6, P11"""
    await asyncio.gather(*(World(world.store).use(used("a", number)) for number in range(1, 9)))
    assert await world.events_counted() == 1
    assert await world.reasons() == ["usage_conflict"] * 7


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_at_any_step_and_a_redelivery_count_everything_once(world: World, after: bool) -> None:
    """P18: the message meets a redelivery, a conflict and a bad event, so each kind of step is there."""
    await world.use(used("old", 1), used("taken", 1))
    message = [used("old", 1), used("new", 2), used("taken", 5), used("bad", -1), used("next", 4)]
    steps = 0
    for step in range(1, 100):
        faulty = FaultyStore(world.store)
        faulty.dies_at, faulty.dies_after = step, after
        batch = [
            {**event, "source": f"{after}-{step}"} if event["id"] in ("new", "next") else event
            for event in message
        ]
        try:
            await World(faulty).use(*batch, message_id="m")
        except Crash:
            steps += 1
        await World(world.store).use(*batch, message_id="m")
        assert await world.counted() == {MARCH: (2 + 6 * step) * 1_000_000}
        if step > faulty.steps:
            break
    assert steps >= 4
    assert await world.reasons() == ["usage_bad_quantity", "usage_conflict"]
