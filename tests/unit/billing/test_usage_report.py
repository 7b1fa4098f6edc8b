"""`GET /v1/usage`: sums by meter and day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from shared.errors import Invalid
from shared.store import Create
from tests.unit.billing.requests import get
from tests.unit.billing.world import ACME, NOON, World, used

pytestmark = pytest.mark.anyio

FEBRUARY = datetime(2026, 2, 10, 8, tzinfo=UTC)


async def usage(world: World, **query: str) -> Any:
    return msgspec.json.decode((await get(world, "/v1/usage", query=query)).body)


async def test_usage_is_summed_by_meter_and_day(world: World) -> None:
    await world.use(used("a", "1.25"), used("b", 2), used("c", 3, at=NOON - timedelta(days=3)))
    await world.use(used("d", 4, meter="workflow_runs"), used("e", 9, at=FEBRUARY))
    assert await usage(world) == {
        "from": "2026-03-01",
        "to": "2026-03-16",
        "days": [
            {"day": "2026-03-12", "meter": "agent_minutes", "quantity": "3", "events": 1},
            {"day": "2026-03-15", "meter": "agent_minutes", "quantity": "3.25", "events": 2},
            {"day": "2026-03-15", "meter": "workflow_runs", "quantity": "4", "events": 1},
        ],
        "totals": [
            {"meter": "agent_minutes", "quantity": "6.25", "events": 3},
            {"meter": "workflow_runs", "quantity": "4", "events": 1},
        ],
    }


async def test_usage_of_one_meter_between_two_days_without_the_last(world: World) -> None:
    await world.use(
        used("a", 1), used("b", 2, meter="workflow_runs"), used("c", 3, at=NOON - timedelta(days=1))
    )
    found = await usage(world, **{"from": "2026-03-14", "to": "2026-03-15", "meter": "agent_minutes"})
    assert found["totals"] == [{"meter": "agent_minutes", "quantity": "3", "events": 1}]


async def test_counters_past_the_first_page_count(world: World) -> None:
    """B14: 92 days, two meters, eight shards: 1472 documents."""
    scope = world.store.tenant(ACME)
    days = [
        (datetime(2025, 12, 15, tzinfo=UTC) + timedelta(days=number)).date().isoformat()
        for number in range(92)
    ]
    names = [
        (meter, day, shard)
        for meter in ("agent_minutes", "workflow_runs")
        for day in days
        for shard in range(8)
    ]
    await world.store.commit(
        *(
            Create(
                scope.key("usage", f"{meter}.{day}.{shard}"),
                {"meter": meter, "day": day, "shard": shard, "s0": 250_000, "n0": 1},
            )
            for meter, day, shard in names
        )
    )
    found = await usage(world, **{"from": days[0], "to": "2026-03-17"})
    assert found["totals"] == [
        {"meter": meter, "quantity": "184", "events": 736} for meter in ("agent_minutes", "workflow_runs")
    ]
    assert [day["quantity"] for day in found["days"]] == ["2"] * 184


async def test_all_shards_count(world: World) -> None:
    """B14"""
    for number in range(40):
        await world.use(used(str(number), "0.5"))
    assert (await usage(world))["totals"] == [{"meter": "agent_minutes", "quantity": "20", "events": 40}]


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"from": "2026-3-1"}, "?from"),
        ({"from": "2026-02-30"}, "?from"),
        ({"to": "tomorrow"}, "?to"),
        ({"to": "2026-03-01T00:00:00Z"}, "?to"),
        ({"from": "2026-03-15", "to": "2026-03-15"}, "?to"),
        ({"from": "2026-03-15", "to": "2026-03-01"}, "?to"),
        ({"from": "2026-04-01"}, "?to"),
        ({"from": "2025-12-01", "to": "2026-03-04"}, "?to"),
        ({"meter": "coffee"}, "?meter"),
        ({"meter": ""}, "?meter"),
    ],
)
async def test_a_wrong_parameter_is_named(world: World, query: dict[str, str], path: str) -> None:
    with pytest.raises(Invalid) as refused:
        await usage(world, **query)
    assert [field.path for field in refused.value.fields] == [path]
    if path == "?meter":
        assert refused.value.detail.startswith("Give one of these: agent_minutes, ")


async def test_92_days_can_be_asked_for(world: World) -> None:
    assert (await usage(world, **{"from": "2025-12-01", "to": "2026-03-03"}))["days"] == []
