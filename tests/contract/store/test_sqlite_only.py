"""What the SQLite implementation promises beyond the port: indexes, threads, the lock, a broken file."""

import asyncio
import fcntl
import os
import resource
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from shared.errors import Unavailable
from shared.store import Add, Create, Query, StoreError
from shared.store.cursors import Position
from shared.store.sqlite import SqliteStore
from shared.store.sqlite.file import Damaged
from shared.store.sqlite.query import statement
from tests.contract.store.harness import QUERIES, marker

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def sqlite(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, QUERIES)
    await store.commit(marker(store))
    yield store
    await store.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """As if a process were stopped in the middle of a commit."""
    descriptor = os.open(path.with_name("store.db.lock"), os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


@contextmanager
def in_use(path: Path) -> Iterator[None]:
    """A program that knows nothing of our lock is writing."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.close()


WALKS = (
    (False, False, False),
    (True, False, False),
    (False, True, False),
    (False, False, True),
    (True, True, True),
)


@pytest.mark.usefixtures("sqlite")
async def test_every_declared_query_walks_its_index_from_bound_to_bound_and_sorts_nothing(path: Path) -> None:
    connection = sqlite3.connect(path)
    for query in QUERIES:
        for since, until, after in WALKS:
            if query.order is None and (since or until):
                continue
            asked = statement(
                query,
                "tenants/t/things",
                dict.fromkeys(query.equal, "e"),
                "b" if since else None,
                "y" if until else None,
                Position(query.order and "m", "x") if after else None,
                10,
            )
            plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + asked.sql, asked.values)]
            column = "<expr>" if query.order else "path"
            low = since or until or (after and not query.descending)
            high = until or (after and query.descending)
            bounds = f" AND {column}>?" * low + f" AND {column}<?" * high
            assert len(plan) == 1
            name, columns = plan[0].removeprefix("SEARCH docs USING INDEX ").split(" ", 1)
            assert name.startswith(f"{query.kind}_")
            assert columns == f"(coll=?{' AND <expr>=?' * len(query.equal)}{bounds})"
    connection.close()


async def test_while_the_lock_is_held_reads_and_the_loop_go_on(path: Path, sqlite: SqliteStore) -> None:
    scope = sqlite.tenant("t")
    await sqlite.commit(Create(scope.key("things", "x"), {"at": 1}))
    with locked(path):
        commit = asyncio.create_task(sqlite.commit(Create(scope.key("things", "y"), {"at": 2})))
        for _ in range(20):
            assert await scope.get("things", "x") is not None
            assert len((await scope.query(QUERIES[3])).docs) == 1
        assert not commit.done()
    await commit
    assert await scope.get("things", "y") is not None


@pytest.mark.parametrize("hold", [locked, in_use])
async def test_a_lock_that_is_never_freed_makes_commits_unavailable_within_two_seconds(
    path: Path, sqlite: SqliteStore, hold: Callable[[Path], AbstractContextManager[None]]
) -> None:
    """P20, B35: the caller hears of it in time, and nothing needs a restart afterwards."""
    key = sqlite.tenant("t").key("things", "x")
    with hold(path):
        began = time.monotonic()
        outcomes = await asyncio.gather(
            *(sqlite.commit(Add(key, {"n": 1}), marker(sqlite)) for _ in range(10)), return_exceptions=True
        )
        assert time.monotonic() - began < 2.5
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 10
    await sqlite.commit(Add(key, {"n": 1}), marker(sqlite))
    doc = await sqlite.tenant("t").get("things", "x")
    assert doc is not None
    assert doc.body == {"n": 1}


async def test_more_than_can_wait_is_refused_at_once(path: Path, sqlite: SqliteStore) -> None:
    scope = sqlite.tenant("t")
    body = {"text": "x" * 900_000}
    with locked(path):
        tasks = [
            asyncio.create_task(sqlite.commit(Create(scope.key("things", f"n{i}"), body))) for i in range(75)
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert len([task for task in tasks if task.done()]) < 10
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [isinstance(outcome, Unavailable) for outcome in outcomes]
    assert refused == [number >= 75 - sum(refused) for number in range(75)]
    assert 0 < sum(refused) < 10
    docs = await sqlite.read(*(scope.key("things", f"n{i}") for i in range(75)))
    assert [doc is None for doc in docs] == refused


async def test_a_caller_who_goes_away_disturbs_nobody(path: Path, sqlite: SqliteStore) -> None:
    scope = sqlite.tenant("t")
    with locked(path):
        tasks = [
            asyncio.create_task(sqlite.commit(Create(scope.key("things", f"n{i}"), {}))) for i in range(40)
        ]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [True, False] * 20
    docs = await sqlite.read(*(scope.key("things", f"n{i}") for i in range(1, 40, 2)))
    assert None not in docs


async def test_close_finishes_what_waits_and_then_there_is_nothing_more(path: Path) -> None:
    store = SqliteStore(path, QUERIES)
    scope = store.tenant("t")
    commits = [
        asyncio.create_task(store.commit(Create(scope.key("things", f"n{i}"), {"at": i}))) for i in range(200)
    ]
    reads = [asyncio.create_task(scope.query(QUERIES[3])) for _ in range(5)]
    await asyncio.sleep(0)
    await store.close()
    assert all(task.done() for task in (*commits, *reads))
    await asyncio.gather(*commits, *reads)
    await store.close()
    with pytest.raises(Unavailable):
        await store.commit(marker(store))
    with pytest.raises(Unavailable):
        await scope.get("things", "n1")
    again = SqliteStore(path, QUERIES)
    assert len((await again.tenant("t").query(QUERIES[3], limit=1000)).docs) == 200
    await again.close()


async def test_a_store_that_was_never_used_closes(path: Path) -> None:
    await SqliteStore(path, QUERIES).close()
    assert not path.exists()


async def test_a_new_declaration_finds_what_was_stored_before_it(path: Path, sqlite: SqliteStore) -> None:
    scope = sqlite.tenant("t")
    await sqlite.commit(*(Create(scope.key("things", f"n{i}"), {"late": i}) for i in range(3)))
    late = Query("late", "things", order="late")
    other = SqliteStore(path, [late])
    page = await other.tenant("t").query(late)
    assert [doc.key.id for doc in page.docs] == ["n0", "n1", "n2"]
    await other.close()


@pytest.mark.parametrize("damage", ["no database", "torn", "from the future"])
async def test_a_file_that_is_no_store_is_named_as_such(path: Path, damage: str) -> None:
    store = SqliteStore(path, QUERIES)
    scope = store.tenant("t")
    if damage == "no database":
        path.write_bytes(b"this is not a database" * 1000)
    else:
        await store.commit(*(Create(scope.key("things", f"n{i}"), {"t": "x" * 500}) for i in range(500)))
        await store.close()
        if damage == "torn":
            data = path.read_bytes()
            path.write_bytes(data[:4096] + b"\xaa" * (len(data) - 4096))
        else:
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA user_version = 99")
            connection.close()
        store = SqliteStore(path, QUERIES)
    for _ in range(2):
        with pytest.raises(Damaged):
            await store.commit(marker(store))
        with pytest.raises(StoreError):
            await scope_of(store)
    await store.close()


async def scope_of(store: SqliteStore) -> None:
    await store.tenant("t").get("things", "n1")


@pytest.mark.usefixtures("sqlite")
async def test_nobody_else_on_the_machine_can_read_the_files(path: Path) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert "store.db-wal" in modes
    assert set(modes.values()) == {0o600}


@contextmanager
def disk_full() -> Iterator[None]:
    """No file may grow beyond 400 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_makes_commits_unavailable_and_never_half_done(sqlite: SqliteStore) -> None:
    """B35, D10: reads go on, and so do commits when there is room again."""
    scope = sqlite.tenant("t")
    await sqlite.commit(Add(scope.key("counters", "c"), {"n": 1}), marker(sqlite))
    with disk_full():
        with pytest.raises(Unavailable):
            await sqlite.commit(
                Create(scope.key("things", "large"), {"text": "x" * 900_000}),
                Add(scope.key("counters", "c"), {"n": 1}),
            )
        doc = await scope.get("counters", "c")
        assert doc is not None
        assert doc.body == {"n": 1}
    await sqlite.commit(Add(scope.key("counters", "c"), {"n": 1}), marker(sqlite))
    docs = await sqlite.read(scope.key("counters", "c"), scope.key("things", "large"))
    assert [doc and doc.body for doc in docs] == [{"n": 2}, None]


async def test_an_unexpected_fault_reaches_its_callers_and_the_next_commit_works(
    path: Path, sqlite: SqliteStore
) -> None:
    breaker = sqlite3.connect(path)
    breaker.execute("ALTER TABLE docs RENAME TO gone")
    with pytest.raises(Unavailable):
        await sqlite.commit(marker(sqlite))
    with pytest.raises(Unavailable):
        await sqlite.tenant("t").get("things", "x")
    breaker.execute("ALTER TABLE gone RENAME TO docs")
    breaker.close()
    await sqlite.commit(marker(sqlite))
    assert await sqlite.tenant("t").get("things", "x") is None
