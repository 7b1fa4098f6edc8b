"""The pause before a refusal: on time whatever goes with it, which is done to its end all the same."""

import asyncio
import logging
from time import monotonic

import pytest

from functions.auth.guessing.pause import Pause

pytestmark = pytest.mark.anyio

SECONDS = 0.03


async def settled(done: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await done.wait()


@pytest.mark.parametrize(("before", "expected"), [(0.0, 1), (0.02, 1), (0.04, 2)])
async def test_it_ends_a_multiple_of_its_seconds_after_the_try_began(before: float, expected: int) -> None:
    late = []
    for _ in range(5):
        began = monotonic() - before
        await Pause(SECONDS)(began)
        late.append(monotonic() - began - expected * SECONDS)
    assert -0.001 < min(late) < SECONDS / 2, "a busy machine is not on time each time"


async def test_what_takes_longer_holds_nobody_up_and_is_done() -> None:
    """L2: a store that is slow for an account that there is does not tell that there is one."""
    may, done = asyncio.Event(), asyncio.Event()

    async def written() -> None:
        await may.wait()
        done.set()

    async with asyncio.timeout(5):
        await Pause(SECONDS)(monotonic(), written())
    assert not done.is_set()
    may.set()
    await settled(done)


async def test_who_goes_away_undoes_nothing() -> None:
    """L4: a guess whose answer nobody waits for counts as well."""
    begun, may, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def written() -> None:
        begun.set()
        await may.wait()
        done.set()

    pausing = asyncio.create_task(Pause(60)(monotonic(), written()))
    await settled(begun)
    pausing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pausing
    may.set()
    await settled(done)


async def test_a_failure_is_logged_and_changes_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def written() -> None:
        raise LookupError("a bug")

    await Pause(SECONDS)(monotonic(), written())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], LookupError)
