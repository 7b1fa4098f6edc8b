"""A cache of secret values, so that a request costs no call and a short outage goes unnoticed."""

from collections.abc import Iterator
from datetime import timedelta

from shared.cache import Cache, CacheLimits
from shared.ids import Clock
from shared.metrics import Reading
from shared.secrets import Secrets, SecretVersion, State

LIMITS = CacheLimits(
    ttl=timedelta(seconds=300), stale=timedelta(hours=1), size=256, refusal=timedelta(seconds=10)
)


class CachedSecrets:
    """Caches each version's value for five minutes, and for an hour while `inner` is unavailable. Lists of
    versions are not cached. That a version is disabled, destroyed or missing is cached for ten seconds.
    """

    def __init__(self, inner: Secrets, clock: Clock) -> None:
        self._inner = inner
        self._values = Cache("secret value", self._fetch_value, clock, LIMITS)

    def readings(self) -> Iterator[Reading]:
        """What `Metrics` shows of it."""
        help_text = "Secrets that were served from memory, because their source was out."
        yield Reading("energent_secret_stale_answers", help_text, self._values.stale_answers)
        help_text = "Age of the oldest secret in memory; one that nobody asks for is not fetched again."
        oldest = self._values.oldest() or timedelta(0)
        yield Reading("energent_secret_oldest_seconds", help_text, oldest.total_seconds(), counts=False)

    async def access(self, name: str, version: int) -> bytes:
        return await self._values.get((name, version))

    async def add(self, name: str, value: bytes) -> int:
        number = await self._inner.add(name, value)
        self._values.forget((name, number))  # it may have been refused as missing
        return number

    async def versions(self, name: str) -> list[SecretVersion]:
        return await self._inner.versions(name)

    async def set_state(self, name: str, version: int, state: State) -> None:
        try:
            await self._inner.set_state(name, version, state)
        finally:
            self.forget(name, version)

    def forget(self, name: str, version: int) -> None:
        """Drops a cached version that has been changed elsewhere, so that it is fetched again."""
        self._values.forget((name, version))

    async def close(self) -> None:
        await self._inner.close()

    async def _fetch_value(self, key: tuple[str, int]) -> bytes:
        return await self._inner.access(*key)
