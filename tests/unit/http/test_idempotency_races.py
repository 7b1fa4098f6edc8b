"""Idempotency-Key when requests meet: at one instance, at several, at a crash, in any order."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.store import Delete
from shared.store.sqlite import SqliteStore
from tests.door import Answer
from tests.tokens import Time
from tests.unit.billing.faulty_store import FaultyStore
from tests.unit.http.things import QUERIES, Instance, Pause, SteppedStore, names, records, replayed

pytestmark = pytest.mark.anyio

DAY = 24 * 3600
A, B = {"name": "a"}, {"name": "b"}
UNIQUE = {"name": "a", "unique": True}


@pytest.fixture
async def plain(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.db", QUERIES)
    yield store
    await store.close()


@pytest.mark.parametrize("step", ["before read", "after read", "before commit", "after commit"])
async def test_a_key_in_progress_is_a_conflict_whatever_it_is_sent_with(
    plain: SqliteStore, step: str
) -> None:
    pause = Pause(step)
    function = Instance(SteppedStore(plain, pause), Time())
    first = asyncio.create_task(function.post("key-1"))
    await pause.reached.wait()
    for body in (A, B):
        early = await function.post("key-1", body)
        assert (early.status, early.code) == (409, "idempotency_key_in_use")
        assert early.headers["retry-after"] == "1"
    assert (await function.post("key-2")).status == 201
    assert (await function.post("key-1", who="tnt_1.usr_2")).status == 201

    pause.go.set()
    made = await first
    again = await function.post("key-1")
    assert (made.status, replayed(made)) == (201, False)
    assert (again.json()["id"], replayed(again)) == (made.json()["id"], True)


@pytest.mark.parametrize("step", ["before read", "before commit"])
async def test_a_key_is_free_again_when_its_client_goes_away(plain: SqliteStore, step: str) -> None:
    pause = Pause(step)
    function = Instance(SteppedStore(plain, pause), Time())
    first = asyncio.create_task(function.post("key-1"))
    await pause.reached.wait()
    first.cancel()
    await asyncio.wait([first])
    made = await function.post("key-1")
    assert (made.status, replayed(made)) == (201, False)
    assert await names(plain) == ["a"]


@pytest.mark.parametrize("body", [A, UNIQUE], ids=["the record is in the way", "its own name is in the way"])
async def test_who_is_late_at_another_instance_gets_the_winners_answer(
    plain: SqliteStore, body: dict[str, Any]
) -> None:
    pause = Pause("before commit")
    late = asyncio.create_task(Instance(SteppedStore(plain, pause), Time()).post("key-1", body))
    await pause.reached.wait()
    winner = await Instance(plain, Time()).post("key-1", body)
    pause.go.set()
    loser = await late

    assert (winner.status, replayed(winner)) == (201, False)
    assert (loser.status, replayed(loser)) == (201, True)
    assert loser.json()["id"] == winner.json()["id"]
    assert await names(plain) == ["a"]


async def test_who_is_late_with_another_payload_is_refused(plain: SqliteStore) -> None:
    pause = Pause("before commit")
    late = asyncio.create_task(Instance(SteppedStore(plain, pause), Time()).post("key-1", B))
    await pause.reached.wait()
    await Instance(plain, Time()).post("key-1", A)
    pause.go.set()
    loser = await late

    assert (loser.status, loser.code) == (422, "idempotency_key_reused")
    assert await names(plain) == ["a"]


async def test_a_name_that_somebody_else_took_meanwhile_is_taken(plain: SqliteStore) -> None:
    pause = Pause("before commit")
    late = asyncio.create_task(Instance(SteppedStore(plain, pause), Time()).post("key-1", UNIQUE))
    await pause.reached.wait()
    await Instance(plain, Time()).post("key-2", UNIQUE)
    pause.go.set()
    loser = await late

    assert (loser.status, loser.code) == (409, "name_taken")
    assert len(await records(plain)) == 1


async def test_an_expired_key_is_won_by_one_of_two_instances(plain: SqliteStore) -> None:
    clock = Time()
    await Instance(plain, clock).post("key-1")
    clock.move(DAY)
    pause = Pause("before commit")
    late = asyncio.create_task(Instance(SteppedStore(plain, pause), clock).post("key-1"))
    await pause.reached.wait()
    winner = await Instance(plain, clock).post("key-1")
    pause.go.set()
    loser = await late

    assert (loser.status, loser.json()["id"], replayed(loser)) == (201, winner.json()["id"], True)
    assert await names(plain) == ["a", "a"], "one of each day"


async def test_an_expired_record_may_be_deleted_at_any_moment(plain: SqliteStore) -> None:
    clock = Time()
    await Instance(plain, clock).post("key-1")
    clock.move(DAY)
    pause = Pause("before commit")
    anew = asyncio.create_task(Instance(SteppedStore(plain, pause), clock).post("key-1"))
    await pause.reached.wait()
    await plain.commit(*(Delete(record.key) for record in await records(plain)))
    pause.go.set()

    made = await anew
    assert (made.status, replayed(made)) == (201, False)
    assert (await Instance(plain, clock).post("key-1")).json()["id"] == made.json()["id"]


async def test_a_record_that_was_in_the_way_and_is_gone_leads_to_another_try(plain: SqliteStore) -> None:
    reads = 0

    async def turn(step: str) -> None:
        """The other instance's record is there at the commit and gone at the look after it."""
        nonlocal reads
        if step == "before commit" and reads == 1:
            await Instance(plain, Time()).post("key-1")
        if step == "before read":
            reads += 1
            for record in await records(plain):
                await plain.commit(Delete(record.key))

    made = await Instance(SteppedStore(plain, turn), Time()).post("key-1")
    assert (made.status, replayed(made), reads) == (201, False, 3)


@pytest.mark.parametrize("body", [A, UNIQUE], ids=["any name", "unique name"])
@pytest.mark.parametrize("expired", [False, True], ids=["new key", "expired key"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [1, 2])
async def test_a_crash_at_any_step_leaves_all_or_nothing_to_the_repeat(
    plain: SqliteStore, step: int, after: bool, expired: bool, body: dict[str, Any]
) -> None:
    """G6, D4: the answer is lost with the process; its repeat finds the answer or does the work."""
    clock = Time()
    if expired:
        await Instance(plain, clock).post("key-1", B)
        clock.move(DAY)
    before = await names(plain)
    faulty = FaultyStore(plain)
    faulty.dies_at, faulty.dies_after = step, after
    assert (await Instance(faulty, clock).post("key-1", body)).status == 500

    committed = step == 2 and after
    assert len(await names(plain)) == len(before) + committed
    again = await Instance(plain, clock).post("key-1", body)
    assert (again.status, replayed(again)) == (201, committed)
    assert sorted(await names(plain)) == sorted([*before, "a"])
    third = await Instance(plain, clock).post("key-1", body)
    assert (third.json()["id"], replayed(third)) == (again.json()["id"], True)


async def test_a_store_that_is_away_refuses_and_uses_no_key_up(plain: SqliteStore) -> None:
    """D1."""
    faulty = FaultyStore(plain)
    function = Instance(faulty, Time())
    faulty.is_down = True
    assert (await function.post("key-1")).status == 503
    faulty.is_down = False
    made = await function.post("key-1")
    assert (made.status, replayed(made)) == (201, False)


@pytest.mark.parametrize("body", [A, UNIQUE], ids=["any name", "unique name"])
async def test_of_64_at_once_one_makes_the_thing(plain: SqliteStore, body: dict[str, Any]) -> None:
    instances = [Instance(plain, Time()) for _ in range(8)]
    answers = await asyncio.gather(*(instances[n % 8].post("key-1", body) for n in range(64)))

    made = [answer for answer in answers if answer.status == 201]
    early = [answer for answer in answers if answer.status == 409]
    assert len(made) + len(early) == 64
    assert {answer.code for answer in early} == {"idempotency_key_in_use"}
    assert len({answer.json()["id"] for answer in made}) == 1
    assert [replayed(answer) for answer in made].count(False) == 1
    assert len(made) >= 8, "each instance answers at least one of its own"
    assert await names(plain) == ["a"]
    assert len(await records(plain)) == 1


class _Death(BaseException):
    """The process is gone: nothing of it runs any more."""


class Schedule:
    """Lets one of those who wait at a step go on at a time; which one, and whether it dies, is drawn."""

    def __init__(self, draws: list[tuple[int, bool]]) -> None:
        self._draws = iter(draws)
        self._waiting: list[asyncio.Future[None]] = []
        self._moved = asyncio.Event()

    async def turn(self, step: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._moved.set()
        await mine

    async def drive(self, tasks: list["asyncio.Task[Answer]"]) -> None:
        for task in tasks:
            task.add_done_callback(lambda _: self._moved.set())
        while alive := [task for task in tasks if not task.done()]:
            if len(self._waiting) < len(alive):
                self._moved.clear()
                await self._moved.wait()
                continue
            index, dies = next(self._draws, (0, False))
            chosen = self._waiting.pop(index % len(self._waiting))
            if dies:
                chosen.set_exception(_Death())
            else:
                chosen.set_result(None)


class Sent(msgspec.Struct, frozen=True):
    instance: int
    body: dict[str, Any]


REQUESTS = st.lists(
    st.builds(Sent, st.integers(0, 2), st.sampled_from([A, A, B, UNIQUE])), min_size=2, max_size=7
)
DRAWS = st.lists(st.tuples(st.integers(0, 6), st.sampled_from([False] * 9 + [True])), max_size=60)


@settings(max_examples=120, deadline=None)
@given(sent=REQUESTS, draws=DRAWS, expired=st.booleans())
def test_in_any_order_one_payload_wins_and_is_done_once(
    tmp_path_factory: pytest.TempPathFactory, sent: list[Sent], draws: list[tuple[int, bool]], expired: bool
) -> None:
    """Three instances, requests that die at any step, replies that are lost."""
    asyncio.run(_play(tmp_path_factory.mktemp("play"), sent, draws, expired=expired))


async def _play(folder: Path, sent: list[Sent], draws: list[tuple[int, bool]], *, expired: bool) -> None:
    plain, clock, schedule = SqliteStore(folder / "store.db", QUERIES), Time(), Schedule(draws)
    try:
        if expired:
            await Instance(plain, clock).post("key-1", {"name": "yesterday"})
            clock.move(DAY)
        before = await names(plain)
        stepped = SteppedStore(plain, schedule.turn)
        instances = [Instance(stepped, clock) for _ in range(3)]
        tasks = [asyncio.create_task(instances[each.instance].post("key-1", each.body)) for each in sent]
        await schedule.drive(tasks)
        ends = [None if isinstance(task.exception(), _Death) else task.result() for task in tasks]
        ends += [await Instance(plain, clock).post("key-1", each.body) for each in sent]
        _judge([each.body for each in sent] * 2, ends)
        assert len(await names(plain)) == len(before) + 1
        assert len(await records(plain)) == 1
    finally:
        await plain.close()


def _judge(bodies: list[dict[str, Any]], ends: list[Answer | None]) -> None:
    """`ends`: the answers, None where nobody lived to give one."""
    answered = [(body, end) for body, end in zip(bodies, ends, strict=True) if end is not None]
    made = [(body, end) for body, end in answered if end.status == 201]
    assert len({end.json()["id"] for _, end in made}) == 1
    assert [replayed(end) for _, end in made].count(False) <= 1
    winner = made[0][0]
    assert all(body == winner for body, _ in made)
    for body, end in answered:
        if end.status != 201:
            in_use = (end.status, end.code) == (409, "idempotency_key_in_use")
            reused = (end.status, end.code) == (422, "idempotency_key_reused")
            assert in_use or (reused and body != winner), (body, end)
