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
ASKED = {
    "known": ("acme", "ada@acme.test"),
    "unknown": ("acme", "nobody@acme.test"),
    "disabled": ("acme", "off@acme.test"),
    "no tenant": ("nobody", "ada@acme.test"),
}


async def test_it_takes_equally_long_whoever_it_is_for(tmp_path: Path) -> None:
    """L3: an hour lies between two rounds, so that each request of somebody known is one for a mail."""
    async with running(tmp_path) as suite:
        people = People(suite)
        ada = await people.added(ASKED["known"][1], "owner")
        disabled = await people.add(ASKED["disabled"][1])
        assert (await ada.ask("POST", f"/v1/users/{disabled.id}/disable")).status_code == 200
        taken: dict[str, list[float]] = {kind: [] for kind in ASKED}
        chance = random.Random(3)
        for _ in range(ROUNDS):
            suite.clock.move(HOUR)
            for kind in chance.sample(sorted(ASKED), len(ASKED)):
                started = time.perf_counter()
                await suite.do.password_changes.forgot(*ASKED[kind])
                taken[kind].append(time.perf_counter() - started)
        asked = len(suite.bus.events("mail.requested"))
        await people.client.aclose()
    assert asked == ROUNDS * len(ASKED)
    timings.are_alike(taken, "unknown")
