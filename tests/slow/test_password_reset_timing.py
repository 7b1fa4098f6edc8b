"""How long a request for a link takes tells nobody who is there: many of each kind, in turn (L3)."""

import random
import time
from pathlib import Path

import pytest

from tests.slow import timings
from tests.unit.auth.people import People
from tests.unit.auth.suite import running

pytestmark = pytest.mark.anyio

ROUNDS = 1500
HOUR = 3600
ADDRESSES = {"known": "ada@acme.test", "unknown": "nobody@acme.test", "disabled": "off@acme.test"}


async def test_it_takes_equally_long_whoever_it_is_for(tmp_path: Path) -> None:
    """L3: an hour lies between two rounds, so that each request of somebody known is one for a mail."""
    async with running(tmp_path) as suite:
        people = People(suite)
        ada = await people.added(ADDRESSES["known"], "owner")
        disabled = await people.add(ADDRESSES["disabled"])
        assert (await ada.ask("POST", f"/v1/users/{disabled.id}/disable")).status_code == 200
        taken: dict[str, list[float]] = {kind: [] for kind in ADDRESSES}
        chance = random.Random(3)
        for _ in range(ROUNDS):
            suite.clock.move(HOUR)
            for kind in chance.sample(sorted(ADDRESSES), len(ADDRESSES)):
                started = time.perf_counter()
                await suite.do.password_changes.forgot("acme", ADDRESSES[kind])
                taken[kind].append(time.perf_counter() - started)
        asked = len(suite.bus.events("mail.requested"))
        await people.client.aclose()
    assert asked == ROUNDS * len(ADDRESSES)
    timings.are_alike(taken, "unknown")
