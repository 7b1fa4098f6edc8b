"""Nothing is lost and nothing is billed twice, whatever comes in whatever order."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.billing.domain import money, periods
from functions.billing.domain.catalogue import EXAMPLE
from shared.ids import new_id
from shared.store.sqlite import SqliteStore
from tests.unit.billing.world import QUERIES, Now, World, billed, used

START = datetime(2026, 3, 28, 12, tzinfo=UTC)
METERS = ("agent_minutes", "model_tokens_k")

Step = tuple[str, Any]

EVENTS = st.lists(st.integers(0, 39), min_size=1, max_size=12)
STEPS = st.one_of(
    st.tuples(st.just("use"), EVENTS),
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("close"), st.integers(0, 3)),
    st.tuples(
        st.just("together"),
        st.lists(
            st.one_of(st.tuples(st.just("use"), EVENTS), st.tuples(st.just("close"), st.integers(0, 3))),
            min_size=2,
            max_size=5,
        ),
    ),
)
POOL = st.lists(
    st.tuples(st.integers(0, 92), st.sampled_from(METERS), st.integers(1, 3_000_000)),
    min_size=40,
    max_size=40,
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def store(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    async def opened(path: Path) -> SqliteStore:
        return SqliteStore(path, QUERIES)

    store = runner.run(opened(tmp_path_factory.mktemp("properties") / "store.db"))
    yield store
    runner.run(store.close())


class Story:
    """Plays steps on two instances and remembers what was accepted."""

    def __init__(self, store: SqliteStore, pool: list[tuple[int, str, int]]) -> None:
        self._now = Now(START)
        tenant_id = new_id("tnt")
        self.instances = [World(store, tenant_id, self._now) for _ in range(2)]
        self._pool = pool
        self._sent: dict[int, dict[str, Any]] = {}
        self.accepted: dict[tuple[str, str], int] = {}

    async def play(self, steps: list[Step]) -> None:
        await self.instances[0].add_tenant(
            id=self.instances[0].tenant_id, created_at=START, contract_start=START.date()
        )
        for step in steps:
            await self._play(step)

    async def _play(self, step: Step, instance: int = 0) -> None:
        name, detail = step
        if name == "use":
            await self.instances[instance].use(*[self._event(number) for number in detail])
        elif name == "close":
            await self.instances[instance].close(self._period(detail))
        elif name == "together":
            await asyncio.gather(*(self._play(one, place % 2) for place, one in enumerate(detail)))
        else:
            self._now.at += timedelta(days=detail)

    def _event(self, number: int) -> dict[str, Any]:
        """Made when it is first sent, so that it is in the window then, and the same ever after."""
        if number not in self._sent:
            days, meter, micro = self._pool[number]
            at = self._now.at - timedelta(days=days)
            self._sent[number] = used(f"event {number}", f"{micro / 1_000_000:.6f}", at=at, meter=meter)
            name = (meter, periods.of(at))
            self.accepted[name] = self.accepted.get(name, 0) + micro
        return self._sent[number]

    def _period(self, back: int) -> str:
        period = periods.of(self._now.at)
        for _ in range(back):
            period = periods.previous(period)
        return period

    async def end(self) -> None:
        """Two months later everything is over, and is closed."""
        self._now.at += timedelta(days=62)
        await self.instances[1].close(self._period(1))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(pool=POOL, steps=st.lists(STEPS, max_size=12))
def test_the_counters_hold_what_was_accepted_and_the_invoices_bill_it_once(
    runner: asyncio.Runner, store: SqliteStore, pool: list[tuple[int, str, int]], steps: list[Step]
) -> None:
    """P10, P13, B10, B11, B14"""

    async def told() -> None:
        story = Story(store, pool)
        await story.play(steps)
        world = story.instances[0]
        assert await world.counted() == story.accepted
        await story.end()
        invoices = await world.invoices()
        assert billed(invoices) == story.accepted
        assert len({invoice.period for invoice in invoices}) == len(invoices)
        lines = [line for invoice in invoices for line in invoice.lines]
        fees = [line.period for line in lines if line.kind == "fee"]
        assert sorted(fees) == list(periods.span(periods.of(START), invoices[-1].period))
        for (meter, period), micro in story.accepted.items():
            amounts = [line.amount_minor for line in lines if (line.meter, line.period) == (meter, period)]
            assert sum(amounts) == money.price_minor(micro, EXAMPLE.meters[meter].unit_price_nano, "USD")
            assert min(amounts) >= 0

    runner.run(told())
