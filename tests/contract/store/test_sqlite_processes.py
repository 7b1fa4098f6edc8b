"""Several processes on one file, and what is left when they are killed."""

import asyncio
import random
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from shared.store import Scope
from shared.store.sqlite import SqliteStore
from tests.contract.store.harness import BY_ID, QUERIES, names

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


async def started(path: Path, name: str) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "tests.contract.store.crash_writer", str(path), name)
    return await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, limit=2**24
    )


async def killed(process: asyncio.subprocess.Process) -> set[str]:
    """Kills it and returns what it had been told was committed."""
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    said = await process.stdout.read()
    assert await process.wait() == -signal.SIGKILL
    return set(said.decode().split("\n")[:-1])


async def count(scope: Scope, name: str) -> int:
    doc = await scope.get("counters", name)
    return 0 if doc is None else int(doc.body["n"])


async def test_after_kill_9_nothing_acknowledged_is_lost_and_nothing_is_half_done(tmp_path: Path) -> None:
    """R15: three rounds, each with two writers killed at a random moment; the file is sound after each."""
    path = tmp_path / "store.db"
    chance = random.Random()
    acknowledged: set[str] = set()
    for round_ in range(3):
        writers = [await started(path, f"w{round_}{number}") for number in range(2)]
        for writer in writers:
            assert writer.stdout is not None
            acknowledged.add((await writer.stdout.readline()).decode().strip())
        for writer in writers:
            await asyncio.sleep(chance.uniform(0.05, 0.4))
            acknowledged |= await killed(writer)
        await check(path, acknowledged, [f"w{n}{number}" for n in range(round_ + 1) for number in range(2)])
    assert len(acknowledged) > 20


async def check(path: Path, acknowledged: set[str], writers: list[str]) -> None:
    store = SqliteStore(path, QUERIES)
    scope = store.tenant("t")
    found = await names(scope, BY_ID, limit=1000)
    counters = [await count(scope, name) for name in writers]
    total = await count(scope, "all")
    await store.close()
    assert acknowledged <= set(found)
    assert len(found) == len(set(found)) == total == sum(counters)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


async def test_four_processes_that_open_a_new_file_at_once_all_write_to_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store.db"
    processes = [await started(path, f"p{number}") for number in range(4)]
    acknowledged: set[str] = set()
    for process in processes:
        assert process.stdout is not None
        first = await asyncio.wait_for(process.stdout.readline(), 20)
        acknowledged.add(first.decode().strip())
    for process in processes:
        acknowledged |= await killed(process)
    assert {made.partition("-")[0] for made in acknowledged} == {"p0", "p1", "p2", "p3"}
    await check(path, acknowledged, [f"p{number}" for number in range(4)])
