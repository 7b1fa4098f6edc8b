"""A process that dies between its commit, the publishing and the deleting of its events loses none."""

import asyncio
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from shared import outbox
from shared.bus import BILLING_EVENTS
from shared.bus.local import LocalBus
from shared.ids import utc_now
from shared.outbox import Outbox, PublishingStore
from shared.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

REPOSITORY = Path(__file__).resolve().parents[2]

DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from shared import outbox
from shared.bus import BILLING_EVENTS, Message
from shared.bus.local import LocalBus
from shared.ids import utc_now
from shared.outbox import Outbox, PublishingStore
from shared.store import Delete
from shared.store.sqlite import SqliteStore

DIE_AT = sys.argv[2]

def die_at(place):
    if place == DIE_AT:
        os.kill(os.getpid(), signal.SIGKILL)

class Bus(LocalBus):
    async def publish(self, topic, messages):
        die_at("before publish")
        await super().publish(topic, messages)
        die_at("after publish")

class Inner(SqliteStore):
    async def commit(self, *writes):
        await super().commit(*writes)
        if isinstance(writes[0], Delete):
            die_at("after delete")

async def main(folder):
    bus = Bus(folder / "bus.db")
    store = PublishingStore(Inner(folder / "store.db", outbox.QUERIES), bus)
    entries = Outbox(store, bus, utc_now, "billing")
    await store.commit(*(entries.entry(BILLING_EVENTS, Message(b"%d" % number)) for number in range(3)))

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("place", "times"), [("before publish", 1), ("after publish", 2), ("after delete", 1)]
)
async def test_killed_at_each_step_every_event_arrives(tmp_path: Path, place: str, times: int) -> None:
    """P18."""
    bus = LocalBus(tmp_path / "bus.db")
    await bus.subscribe(BILLING_EVENTS, "all")
    died = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", DIES, str(tmp_path), place], cwd=REPOSITORY, check=False
    )
    assert died.returncode == -signal.SIGKILL
    store = PublishingStore(SqliteStore(tmp_path / "store.db", outbox.QUERIES), bus)
    later = Outbox(store, bus, lambda: utc_now() + timedelta(seconds=10), "billing")
    await later.sweep()
    assert await later.sweep() == 0
    arrived = [leased.message.data for leased in await bus.lease("all", 100, 60)]
    await store.close()
    await bus.close()
    assert sorted(arrived) == sorted([b"0", b"1", b"2"] * times)
