"""Secrets in memory: how long, and what they survive."""

import asyncio

import pytest

from shared.errors import Unavailable
from shared.secrets import SecretUnusable, SecretVersion, State
from shared.secrets.cached import CachedSecrets
from tests.tokens import NOW, Time


class Distant:
    """A secret store that counts calls and can be out or refuse."""

    def __init__(self) -> None:
        self.values = {("key", 1): b"value"}
        self.calls = 0
        self.failure: Exception | None = None

    async def access(self, name: str, version: int) -> bytes:
        await self._called()
        return self.values[(name, version)]

    async def add(self, name: str, value: bytes) -> int:
        number = len(self.values) + 1
        self.values[(name, number)] = value
        return number

    async def versions(self, name: str) -> list[SecretVersion]:
        await self._called()
        return [SecretVersion(number, "enabled", NOW) for _, number in sorted(self.values, reverse=True)]

    async def set_state(self, name: str, version: int, state: State) -> None:
        self.failure = SecretUnusable(name, version, state)

    async def close(self) -> None:
        pass

    async def _called(self) -> None:
        self.calls += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure


def _cached() -> tuple[CachedSecrets, Distant, Time]:
    distant, clock = Distant(), Time()
    return CachedSecrets(distant, clock), distant, clock


def test_a_hundred_requests_at_once_fetch_a_secret_once_in_five_minutes() -> None:
    """S5."""

    async def story() -> None:
        secrets, distant, clock = _cached()
        for expected in (1, 2):
            values = await asyncio.gather(*(secrets.access("key", 1) for _ in range(100)))
            assert set(values) == {b"value"}
            assert distant.calls == expected
            clock.move(299)
            await secrets.access("key", 1)
            assert distant.calls == expected
            clock.move(1)

    asyncio.run(story())


def test_an_outage_is_survived_for_an_hour_and_then_closes() -> None:
    """S2 D6."""

    async def story() -> None:
        secrets, distant, clock = _cached()
        await secrets.access("key", 1)
        distant.failure = Unavailable("secrets_unavailable", "Out.")
        clock.move(3599)
        assert await secrets.access("key", 1) == b"value"
        clock.move(1)
        with pytest.raises(Unavailable):
            await secrets.access("key", 1)

    asyncio.run(story())


def test_a_version_that_was_disabled_elsewhere_is_refused_and_not_kept() -> None:
    """S2 S8."""

    async def story() -> None:
        secrets, distant, clock = _cached()
        await secrets.access("key", 1)
        distant.failure = SecretUnusable("key", 1, "disabled")
        clock.move(300)
        with pytest.raises(SecretUnusable):
            await secrets.access("key", 1)
        distant.failure = Unavailable("secrets_unavailable", "Out.")
        clock.move(10)
        with pytest.raises(Unavailable):
            await secrets.access("key", 1)

    asyncio.run(story())


def test_a_refusal_is_asked_for_once_in_ten_seconds() -> None:
    """S2: whoever has a version asked for that cannot be used causes no call each time."""

    async def story() -> None:
        secrets, distant, clock = _cached()
        distant.failure = SecretUnusable("key", 1, "missing")
        for calls in (1, 2):
            for _ in range(100):
                with pytest.raises(SecretUnusable, match="missing"):
                    await secrets.access("key", 1)
            clock.move(9.9)
            with pytest.raises(SecretUnusable, match="missing"):
                await secrets.access("key", 1)
            assert distant.calls == calls
            clock.move(0.1)
        distant.failure = None
        assert await secrets.access("key", 1) == b"value"

    asyncio.run(story())


def test_a_version_that_is_added_here_is_no_longer_refused() -> None:
    async def story() -> None:
        secrets, distant, _ = _cached()
        distant.failure = SecretUnusable("key", 2, "missing")
        with pytest.raises(SecretUnusable):
            await secrets.access("key", 2)
        distant.failure = None
        assert await secrets.add("key", b"two") == 2
        assert await secrets.access("key", 2) == b"two"

    asyncio.run(story())


def test_what_is_heard_of_a_version_ends_its_refusal() -> None:
    """S8."""

    async def story() -> None:
        secrets, distant, _ = _cached()
        distant.failure = SecretUnusable("key", 1, "disabled")
        with pytest.raises(SecretUnusable):
            await secrets.access("key", 1)
        distant.failure = None
        secrets.forget("key", 1)
        assert await secrets.access("key", 1) == b"value"

    asyncio.run(story())


def test_a_version_that_is_disabled_here_is_refused_at_once() -> None:
    """S8."""

    async def story() -> None:
        secrets, _, _ = _cached()
        await secrets.access("key", 1)
        await secrets.set_state("key", 1, "disabled")
        with pytest.raises(SecretUnusable):
            await secrets.access("key", 1)

    asyncio.run(story())
