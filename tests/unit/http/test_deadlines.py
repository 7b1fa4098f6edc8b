"""One timer for all requests."""

import asyncio

import pytest

from shared.http.deadlines import Deadlines, TimedOut


async def _value() -> str:
    return "value"


async def _forever() -> None:
    await asyncio.Event().wait()


async def _times_out_itself() -> None:
    raise TimeoutError


def test_what_is_done_in_time_gives_its_result() -> None:
    assert asyncio.run(Deadlines(5).run(_value())) == "value"


def test_what_takes_too_long_is_ended_each_by_its_own_start() -> None:
    async def story() -> None:
        deadlines = Deadlines(0.02)
        tasks = [asyncio.ensure_future(deadlines.run(_forever())) for _ in range(3)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [TimedOut] * 3
        assert await deadlines.run(_value()) == "value"

    asyncio.run(story())


def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    async def story() -> None:
        task = asyncio.ensure_future(Deadlines(5).run(_forever()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(story())


def test_a_time_out_inside_of_the_work_is_its_own() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(Deadlines(5).run(_times_out_itself()))


def test_nothing_ticks_while_nothing_runs() -> None:
    async def story() -> None:
        deadlines = Deadlines(0.008)
        await deadlines.run(_value())
        await asyncio.sleep(0.01)
        assert deadlines._timer is None

    asyncio.run(story())
