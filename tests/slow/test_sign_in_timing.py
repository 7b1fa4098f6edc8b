"""How long a refusal takes tells nothing: a few hundred of each kind, one after the other in turn (L2)."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest

from functions.auth import records
from functions.auth.domain.guessing import Failures
from functions.auth.domain.people import User
from functions.auth.guessing.pause import Pause
from functions.auth.guessing.source import Source
from shared.errors import Unauthenticated
from shared.ids import new_id
from shared.store import Create
from tests.slow import timings
from tests.unit.auth.cheap_sign_in import WRONG, CheapSignIn
from tests.unit.auth.suite import ACME, OWNER, PASSWORD, Suite, running

pytestmark = pytest.mark.anyio

ROUNDS = 200
AT_ONCE = 32
DAY = 86_400
WRITE_SECONDS = 0.03
"""What one of Firestore's takes: were it in anybody's way, that would be more than 5 %."""
TRIES = {
    "wrong": ("acme", OWNER, WRONG),
    "unknown": ("acme", "eve@acme.test", WRONG),
    "no tenant": ("nobody", OWNER, WRONG),
    "early": ("acme", "early@acme.test", PASSWORD),
    "disabled": ("acme", "disabled@acme.test", PASSWORD),
}


@pytest.fixture
async def cheap(tmp_path: Path, anyio_backend: str) -> AsyncIterator[CheapSignIn]:
    async with running(tmp_path) as suite:
        cheap = CheapSignIn(suite, Pause())
        for email in (OWNER, "early@acme.test", "disabled@acme.test"):
            await cheap.add_user(email)
        user_id = (await cheap.login_document("disabled@acme.test")).value.user_id
        user = records.found(
            (await suite.store.inner.read(records.user_key(suite.store, ACME, user_id)))[0], User
        )
        assert user is not None
        await write(suite, user, status="disabled")
        yield cheap
        cheap.passwords.close()


async def write(suite: Suite, found: records.Found[Any], **changes: Any) -> None:
    marker = Create(suite.store.tenant(ACME).key("audit", new_id("aud")), {})
    await suite.store.inner.commit(marker, found.replace(msgspec.structs.replace(found.value, **changes)))


async def test_refusals_take_equally_long_whatever_they_are_for(cheap: CheapSignIn) -> None:
    """L1, L2: medians within 5 %, and no test of ranks finds a difference."""
    suite = cheap.suite
    taken: dict[str, list[float]] = {kind: [] for kind in TRIES}
    chance = random.Random(11)
    for _ in range(ROUNDS):
        suite.clock.move(DAY)  # so that each wrong password is counted, which writes
        early = await cheap.login_document("early@acme.test")
        await write(suite, early, failures=Failures(30, suite.clock()))
        await suite.do.keys.current()
        for kind in chance.sample(sorted(TRIES), len(TRIES)):
            taken[kind].append(await refused(cheap, kind))
    assert await cheap.failures() == 1
    timings.are_alike(taken, "unknown")


async def test_many_tries_at_once_take_as_long_where_they_get_in_each_others_way(cheap: CheapSignIn) -> None:
    """L1, L2, L4: the failures of one account are counted one after the other, and nobody waits for that.

    Of ten rounds the best counts: what else a machine does makes a round longer, a wait makes all of them.
    """
    rounds: dict[str, list[float]] = {"wrong": [], "unknown": []}
    for _ in range(10):
        for kind, medians in rounds.items():
            cheap.suite.clock.move(DAY)
            tries = (refused(cheap, kind, f"2001:db8:{number:x}::1") for number in range(AT_ONCE))
            medians.append(median(await asyncio.gather(*tries)))
            await asyncio.sleep(1)  # for whatever is still counted
    assert abs(min(rounds["wrong"]) / min(rounds["unknown"]) - 1) < 0.05, rounds


async def refused(cheap: CheapSignIn, kind: str, ip: str = "192.0.2.1") -> float:
    """Seconds until it was; each write takes `WRITE_SECONDS` longer than this store's."""

    async def slowly() -> None:
        cheap.suite.store.before_commit = slowly
        await asyncio.sleep(WRITE_SECONDS)

    cheap.suite.store.before_commit = slowly
    slug, email, secret = TRIES[kind]
    started = time.perf_counter()
    with pytest.raises(Unauthenticated):
        await cheap.sign_in.login(slug, email, secret, Source(ip))
    return time.perf_counter() - started
