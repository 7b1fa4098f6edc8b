"""`usage.recorded`: what is wrong is set aside, alone where it can be, and stops nothing else."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from functions.billing.usage import MAX_DATA_BYTES, Recorder
from shared.envelope import Delivery
from shared.event_door import Rejected
from shared.events import CloudEvent, make
from shared.quarantine import Quarantine
from shared.store import Create
from tests.unit.billing.world import NOON, World, used

pytestmark = pytest.mark.anyio

MARCH = ("agent_minutes", "2026-03")


class CountingQuarantine(Quarantine):
    """Counts the writes that are made."""

    written = 0

    def write(self, *arguments: Any, **more: Any) -> Create:
        self.written += 1
        return super().write(*arguments, **more)


@pytest.mark.parametrize(
    "change", [{"quantity": 6}, {"meter": "workflow_runs"}, {"at": NOON - timedelta(hours=2)}]
)
async def test_another_event_under_a_name_that_is_taken_is_set_aside(
    world: World, change: dict[str, Any]
) -> None:
    """P6, B16"""
    await world.use(used("a", 5))
    await world.use(used("b", 1), used("a", **{"quantity": 5, **change}), used("c", 1))
    assert await world.counted() == {MARCH: 7_000_000}
    assert await world.reasons() == ["usage_conflict"]


async def test_of_two_different_events_of_one_name_in_a_message_the_first_counts(world: World) -> None:
    """P6, B16"""
    for _ in range(2):
        await world.use(used("a", 5), used("a", 6), used("a", 5), message_id="m1")
    assert await world.counted() == {MARCH: 5_000_000}
    assert await world.reasons() == ["usage_conflict"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quantity": -1}, "usage_bad_quantity"),
        ({"quantity": 0}, "usage_bad_quantity"),
        ({"quantity": "-0"}, "usage_bad_quantity"),
        ({"quantity": "0.000000"}, "usage_bad_quantity"),
        ({"quantity": "0.0000001"}, "usage_bad_quantity"),
        ({"quantity": "5e3"}, "usage_bad_quantity"),
        ({"quantity": "+5"}, "usage_bad_quantity"),
        ({"quantity": " 5"}, "usage_bad_quantity"),
        ({"quantity": "NaN"}, "usage_bad_quantity"),
        ({"quantity": 10_000_001}, "usage_bad_quantity"),
        ({"quantity": 2**63}, "usage_bad_quantity"),
        ({"quantity": 5.0}, "usage_bad_shape"),
        ({"quantity": 5.5}, "usage_bad_shape"),
        ({"quantity": 1e308}, "usage_bad_shape"),
        ({"quantity": True}, "usage_bad_shape"),
        ({"quantity": None}, "usage_bad_shape"),
        pytest.param({"quantity": msgspec.Raw(b"9" * 5000)}, "usage_bad_shape", id="5000 digits"),
        ({"meter": "coffee"}, "usage_unknown_meter"),
        ({"meter": 7}, "usage_bad_shape"),
        ({"id": ""}, "usage_bad_name"),
        ({"id": "x" * 257}, "usage_bad_name"),
        ({"source": "x" * 257}, "usage_bad_name"),
        ({"surprise": 1}, "usage_bad_shape"),
        ({"time": "2026-03-15T12:00:00"}, "usage_bad_time"),
        ({"time": "2026-03-15T12:05:00.000001Z"}, "usage_in_future"),
        ({"time": "2027-03-15T12:00:00Z"}, "usage_in_future"),
        ({"time": "2025-12-13T11:59:59.999999Z"}, "usage_too_old"),
        ({"time": "2025-03-15T12:00:00Z"}, "usage_too_old"),
        ({"time": "0001-01-01T00:00:00+23:59"}, "usage_too_old"),
        ({"time": "9999-12-31T23:59:59-23:59"}, "usage_in_future"),
        ({"time": "0000-01-01T00:00:00Z"}, "usage_bad_time"),
        ({"time": "2025-12-31T23:59:60Z"}, "usage_bad_time"),
        ({"time": "2026-03-15T11:00:00.1234567"}, "usage_bad_time"),
        ({"time": "2026-03-15T11:00:00.1234567xZ"}, "usage_bad_time"),
        ({"time": "2026-03-15"}, "usage_bad_time"),
        ({"time": "1773576000"}, "usage_bad_time"),
        ({"time": ""}, "usage_bad_time"),
        ({"time": "." + "0" * 100}, "usage_bad_time"),
        ({"time": 1773576000}, "usage_bad_shape"),
    ],
    ids=str,
)
async def test_a_bad_event_is_set_aside_and_the_others_count(
    world: World, change: dict[str, Any], reason: str
) -> None:
    """B1, B2, B6, B8, P17"""
    await world.use(used("good", 1), {**used("bad"), **change}, used("fine", 1))
    assert await world.counted() == {MARCH: 2_000_000}
    assert await world.reasons() == [reason]


@pytest.mark.parametrize(
    "time", ["2026-03-15T12:05:00Z", "2025-12-13T12:00:00Z", "2026-03-15T23:59:00+14:00"]
)
async def test_the_edges_of_the_window_are_inside(world: World, time: str) -> None:
    """B8, P17"""
    await world.use({**used("a"), "time": time})
    assert await world.events_counted() == 1
    assert await world.quarantined() == []


async def test_what_was_set_aside_counts_once_when_it_is_sent_again(world: World) -> None:
    """P15: the quarantined message holds that one event, and its source."""
    ahead = used("early", 3, at=NOON + timedelta(hours=1))
    await world.use(used("good"), ahead, used("worse", -1))
    kept = {found.reason: found for found in await world.quarantined()}
    body = msgspec.json.decode(kept["usage_in_future"].data())
    assert body["data"]["events"] == [msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(ahead)))]
    world.now.at += timedelta(hours=2)
    again = msgspec.json.decode(msgspec.json.encode(body), type=CloudEvent)
    for message_id in ("again", "again", "once more"):
        await world.deliver_event(again, message_id)
    assert await world.counted() == {MARCH: 4_000_000}
    assert len(await world.quarantined()) == 2


async def test_what_is_set_aside_carries_no_extension_of_the_message(world: World) -> None:
    """Or a message of 500 bad events would make each of them as large as itself."""
    event = make(
        "usage.recorded",
        event_id="m",
        source="//acme/agents",
        subject=world.tenant_id,
        time=NOON,
        data={"events": [used("bad", -1)]},
    )
    long = msgspec.structs.replace(event, traceparent="x" * 50_000, datacontenttype="y" * 50_000)
    await world.deliver_event(long, "m")
    (kept,) = await world.quarantined()
    body = msgspec.json.decode(kept.data(), type=CloudEvent)
    assert body == msgspec.structs.replace(event, data=body.data)


async def test_more_than_a_commit_can_set_aside_is_quarantined_whole_without_making_it_all(
    world: World,
) -> None:
    event = make(
        "usage.recorded",
        event_id="x" * 200_000,
        source="//acme/agents",
        subject=world.tenant_id,
        time=NOON,
        data={"events": [used(f"bad {number}", -1) for number in range(500)]},
    )
    counting = CountingQuarantine(world.store, world.now, "billing")
    recorder = Recorder(world.store, counting, world.now, world.catalogue.meters, world.billed.check)
    with pytest.raises(Rejected, match="too_large"):
        await recorder.record(event, Delivery("m", b"", {}))
    assert counting.written < 50


@pytest.mark.parametrize("subject", ["tnt_nobody", ""])
async def test_usage_of_an_unknown_tenant_is_quarantined_as_it_came(world: World, subject: str) -> None:
    """P16, B12"""
    await world.deliver("usage.recorded", {"events": [used("a"), used("b")]}, subject=subject)
    (kept,) = await world.quarantined()
    assert kept.reason == "unknown_tenant"
    assert await world.events_counted() == 0


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"events": []},
        {"events": [used(str(number)) for number in range(501)]},
        {"events": {"id": "a"}},
        {"events": [used("a")], "more": 1},
        [used("a")],
        used("a"),
        {"events": [used("a" * MAX_DATA_BYTES)]},
        msgspec.Raw(b'{"events":[' + b"{}," * 300_000 + b"{}]}"),
    ],
    ids=["null", "empty", "none", "501", "no list", "more", "list", "single", "large", "many"],
)
async def test_a_message_that_is_no_batch_is_quarantined_whole(world: World, data: Any) -> None:
    await world.deliver("usage.recorded", data)
    (kept,) = await world.quarantined()
    assert kept.reason in ("invalid_data", "too_large")
    assert await world.events_counted() == 0


async def test_a_counter_that_would_overflow_refuses_the_message_and_does_not_wrap(world: World) -> None:
    """B3"""
    key = world.store.tenant(world.tenant_id)
    full = {"meter": "agent_minutes", "day": "2026-03-15", "s44": 2**63 - 2, "n44": 1}
    await world.store.commit(
        *(Create(key.key("usage", f"agent_minutes.2026-03-15.{shard}"), full) for shard in range(8))
    )
    await world.use(used("a"))
    assert await world.reasons() == ["usage_counter_full"]
    assert await world.counted() == {MARCH: 8 * (2**63 - 2)}
