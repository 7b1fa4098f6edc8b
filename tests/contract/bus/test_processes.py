"""The local bus between processes, and what `kill -9` leaves of it."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from shared.bus import BILLING_EVENTS
from shared.bus.local import LocalBus

pytestmark = pytest.mark.anyio

SUBSCRIPTION = "billing-push"
REPOSITORY = Path(__file__).resolve().parents[3]

PUBLISHER = """
import asyncio, sys
from pathlib import Path
from shared.bus import BILLING_EVENTS, Message
from shared.bus.local import LocalBus

async def main(path, name, count):
    bus = LocalBus(Path(path))
    for number in range(int(count)):
        text = f"{name}-{number}"
        await bus.publish(BILLING_EVENTS, [Message(text.encode())])
        print(text, flush=True)
    await bus.close()

asyncio.run(main(*sys.argv[1:]))
"""

CONSUMER = """
import asyncio, sys
from pathlib import Path
from shared.bus.local import LocalBus

async def main(path, subscription, count):
    bus = LocalBus(Path(path), base_seconds=0.01)
    said = 0
    while True:
        for leased in await bus.lease(subscription, 8, 0.3):
            print(leased.message.data.decode(), flush=True)
            said += 1
            if said == int(count):
                await asyncio.Event().wait()
            await bus.ack(leased)

asyncio.run(main(*sys.argv[1:]))
"""
"""Goes no further than `count` messages, the last of which it does not acknowledge: whoever kills it late
finds as much left as who kills it at once.
"""


@contextmanager
def process(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Killed at the end, if it still runs."""
    running = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        if running.stdout:
            running.stdout.close()


def lines_until_killed(running: subprocess.Popen[str], count: int) -> list[str]:
    """Reads `count` lines, kills the process with -9, and reads the rest of what it said."""
    output: IO[str] = running.stdout  # type: ignore[assignment]
    said = [output.readline().strip() for _ in range(count)]
    running.send_signal(signal.SIGKILL)
    return said + [line.strip() for line in output if line.endswith("\n")]


async def drained(bus: LocalBus) -> list[str]:
    """Takes what is left, waiting for the leases of the dead to run out."""
    taken = []
    deadline = time.monotonic() + 60
    while await bus.pending(SUBSCRIPTION) and time.monotonic() < deadline:
        for leased in await bus.lease(SUBSCRIPTION, 100, 60):
            taken.append(leased.message.data.decode())
            await bus.ack(leased)
        await asyncio.sleep(0.01)
    assert await bus.pending(SUBSCRIPTION) == 0
    return taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bus.db"


async def test_four_processes_publish_at_once_and_nothing_is_lost_or_doubled(path: Path) -> None:
    bus = LocalBus(path)
    await bus.subscribe(BILLING_EVENTS, SUBSCRIPTION)
    count = 150
    with (
        process(PUBLISHER, str(path), "a", str(count)) as a,
        process(PUBLISHER, str(path), "b", str(count)) as b,
        process(PUBLISHER, str(path), "c", str(count)) as c,
        process(PUBLISHER, str(path), "d", str(count)) as d,
    ):
        for running in (a, b, c, d):
            assert await asyncio.to_thread(running.wait, 60) == 0
    taken = await drained(bus)
    await bus.close()
    assert sorted(taken) == sorted(f"{name}-{number}" for name in "abcd" for number in range(count))


async def test_four_processes_that_open_a_new_file_at_once_all_succeed(path: Path) -> None:
    with (
        process(PUBLISHER, str(path), "a", "1") as a,
        process(PUBLISHER, str(path), "b", "1") as b,
        process(PUBLISHER, str(path), "c", "1") as c,
        process(PUBLISHER, str(path), "d", "1") as d,
    ):
        assert [await asyncio.to_thread(running.wait, 60) for running in (a, b, c, d)] == [0, 0, 0, 0]


async def test_what_a_killed_publisher_was_told_is_published_is_there(path: Path) -> None:
    bus = LocalBus(path)
    await bus.subscribe(BILLING_EVENTS, SUBSCRIPTION)
    said: list[str] = []
    for name, after in (("a", 5), ("b", 37), ("c", 90)):
        with process(PUBLISHER, str(path), name, "2000") as running:
            said += await asyncio.to_thread(lines_until_killed, running, after)
    taken = await drained(bus)
    await bus.close()
    assert len(said) >= 132
    assert set(said) <= set(taken)
    assert len(taken) == len(set(taken))


async def test_a_killed_consumer_loses_nothing(path: Path) -> None:
    """P18."""
    bus = LocalBus(path, base_seconds=0.01)
    await bus.subscribe(BILLING_EVENTS, SUBSCRIPTION)
    with process(PUBLISHER, str(path), "a", "400") as publisher:
        assert await asyncio.to_thread(publisher.wait, 30) == 0
    said: list[str] = []
    for after in (3, 50, 77):
        with process(CONSUMER, str(path), SUBSCRIPTION, str(after)) as running:
            said += await asyncio.to_thread(lines_until_killed, running, after)
    taken = await drained(bus)
    await bus.close()
    assert len(said) == 3 + 50 + 77
    assert len(taken) >= 400 - 127, "what was said and not acknowledged comes again"
    assert {*said, *taken} == {f"a-{number}" for number in range(400)}
