"""The cache: one fetch at a time, bounded age and size, and what an outage changes."""

import asyncio
import traceback
from datetime import timedelta

import msgspec
import pytest

from shared.cache import Cache, CacheLimits
from shared.errors import Unavailable
from tests.tokens import Time

LIMITS = CacheLimits(ttl=timedelta(seconds=10), stale=timedelta(seconds=60), size=3)


class Source:
    """Answers `key#n` on the n-th call; `failure` makes it raise; while `gate` is shut it waits."""

    def __init__(self) -> None:
        self.calls = 0
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, key: str) -> str:
        self.calls += 1
        answer = f"{key}#{self.calls}"
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return answer


def _cache() -> tuple[Cache[str, str], Source, Time]:
    source, clock = Source(), Time()
    return Cache("test", source, clock, LIMITS), source, clock


def _down() -> Unavailable:
    return Unavailable("down", "Down.")


def test_a_value_is_used_for_its_time_to_live_and_no_longer() -> None:
    """S5."""

    async def story() -> None:
        cache, _, clock = _cache()
        assert await cache.get("a") == "a#1"
        clock.move(9.9)
        assert await cache.get("a") == "a#1"
        clock.move(0.1)
        assert await cache.get("a") == "a#2"

    asyncio.run(story())


def test_a_hundred_who_ask_at_once_cause_one_fetch() -> None:
    """S5."""

    async def story() -> None:
        cache, source, _ = _cache()
        source.gate.clear()
        waiting = [asyncio.ensure_future(cache.get("a")) for _ in range(100)]
        await asyncio.sleep(0)
        source.gate.set()
        assert set(await asyncio.gather(*waiting)) == {"a#1"}
        assert source.calls == 1

    asyncio.run(story())


def test_who_gives_up_waiting_does_not_take_the_value_from_the_others() -> None:
    async def story() -> None:
        cache, source, _ = _cache()
        source.gate.clear()
        first, second = (asyncio.ensure_future(cache.get("a")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        source.gate.set()
        assert await second == "a#1"

    asyncio.run(story())


def test_in_an_outage_the_old_value_serves_until_it_is_too_old() -> None:
    """S2: and the source is asked once a second, not for each request."""

    async def story() -> None:
        cache, source, clock = _cache()
        await cache.get("a")
        source.failure = _down()
        clock.move(59)
        for _ in range(100):
            assert await cache.get("a") == "a#1"
        assert source.calls == 2
        clock.move(1)
        with pytest.raises(Unavailable):
            await cache.get("a")
        source.failure = None
        assert await cache.get("a") == "a#4"

    asyncio.run(story())


def test_a_failure_that_is_no_outage_ends_the_value() -> None:
    """S2: a disabled secret is not served from memory."""

    async def story() -> None:
        cache, source, clock = _cache()
        await cache.get("a")
        clock.move(10)
        source.failure = LookupError("disabled")
        with pytest.raises(LookupError):
            await cache.get("a")
        source.failure = _down()
        with pytest.raises(Unavailable):
            await cache.get("a")

    asyncio.run(story())


def test_a_refusal_is_kept_where_that_is_asked_for() -> None:
    """With the room of as many keys as there are values, and an outage is none."""

    async def story() -> None:
        source, clock = Source(), Time()
        cache = Cache("test", source, clock, msgspec.structs.replace(LIMITS, refusal=timedelta(seconds=5)))
        source.failure = LookupError("gone")
        for key in ("a", "a", "b", "c", "d", "d", "a"):
            with pytest.raises(LookupError):
                await cache.get(key)
        assert source.calls == 5
        for _ in range(20):
            with pytest.raises(LookupError) as refused:
                await cache.get("a")
        assert len(traceback.extract_tb(refused.value.__traceback__)) == 2, "it does not grow"
        source.failure = _down()
        clock.move(5)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await cache.get("d")
        source.failure = None
        assert await cache.get("d") == "d#8"

    asyncio.run(story())


def test_who_asks_the_source_itself_is_not_told_what_it_refused_before() -> None:
    async def story() -> None:
        source, clock = Source(), Time()
        cache = Cache("test", source, clock, msgspec.structs.replace(LIMITS, refusal=timedelta(seconds=5)))
        source.failure = LookupError("gone")
        with pytest.raises(LookupError):
            await cache.get("a")
        source.failure = None
        assert await cache.refetch("a") == "a#2"
        assert await cache.get("a") == "a#2"

    asyncio.run(story())


def test_the_least_recently_used_entry_makes_room() -> None:
    async def story() -> None:
        cache, source, _ = _cache()
        for key in ("a", "b", "c", "a", "d"):
            await cache.get(key)
        assert source.calls == 4
        assert await cache.get("a") == "a#1"
        assert await cache.get("b") == "b#5"

    asyncio.run(story())


def test_a_forgotten_key_is_fetched_anew_even_while_a_fetch_is_under_way() -> None:
    async def story() -> None:
        cache, source, _ = _cache()
        source.gate.clear()
        early = asyncio.ensure_future(cache.get("a"))
        await asyncio.sleep(0)
        cache.forget("a")
        late = asyncio.ensure_future(cache.get("a"))
        await asyncio.sleep(0)
        source.gate.set()
        assert await early == "a#1"
        assert await late == "a#2"
        assert await cache.get("a") == "a#2"

    asyncio.run(story())


def test_a_failed_fetch_that_nobody_waits_for_is_silent() -> None:
    async def story() -> None:
        cache, source, _ = _cache()
        source.failure = _down()
        source.gate.clear()
        waiting = asyncio.ensure_future(cache.get("a"))
        await asyncio.sleep(0)
        waiting.cancel()
        source.gate.set()
        for _ in range(3):
            await asyncio.sleep(0)
        assert not cache.is_asking("a")

    asyncio.run(story())
