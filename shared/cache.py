"""A bounded cache: one fetch at a time for each key, and stale values during an outage of the source."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from shared.errors import Unavailable
from shared.ids import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

RETRY_AFTER_OUTAGE = timedelta(seconds=1)

_log = logging.getLogger(__name__)


class CacheLimits(msgspec.Struct, frozen=True):
    """How long a value is used: for `ttl` without a fetch, for `stale` while fetches fail. `size` is the
    number of entries. An error other than an outage is raised again for `refusal` without a fetch.
    """

    ttl: timedelta
    stale: timedelta
    size: int
    refusal: timedelta = timedelta(0)


class _Entry(msgspec.Struct, Generic[V]):
    value: V
    fetched_at: datetime
    use_until: datetime


class _Refusal(msgspec.Struct):
    error: Exception
    until: datetime


class Cache(Generic[K, V]):
    """Caches what `fetch` returns. `Unavailable` is an outage of the source; any other error is raised and
    removes the cached value.
    """

    def __init__(
        self, name: str, fetch: Callable[[K], Awaitable[V]], clock: Clock, limits: CacheLimits
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._clock = clock
        self._limits = limits
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._refusals: OrderedDict[K, _Refusal] = OrderedDict()
        self._flights: dict[K, asyncio.Task[V]] = {}
        self.stale_answers = 0
        """How often a stale value was returned because of an outage."""

    async def get(self, key: K) -> V:
        """The value, at most `ttl` old; during an outage, at most `stale` old. Raises what `fetch` raises."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry.use_until:
            self._entries.move_to_end(key)
            return entry.value
        refusal = self._refusals.get(key)
        if refusal is not None and self._clock() < refusal.until:
            raise refusal.error.with_traceback(None)  # otherwise its traceback grows each time
        return await self.refetch(key)

    async def refetch(self, key: K) -> V:
        """Like `get`, but always fetches, or joins a fetch that is under way."""
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(self._fly(key))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        # Shielded: a caller who is cancelled must not cancel the fetch for the others.
        return await asyncio.shield(flight)

    def age(self, key: K) -> timedelta | None:
        """How long ago the cached value was fetched; None if there is none."""
        entry = self._entries.get(key)
        return self._clock() - entry.fetched_at if entry else None

    def oldest(self) -> timedelta | None:
        """The greatest `age` of all values; None if there are none."""
        fetched = min((entry.fetched_at for entry in self._entries.values()), default=None)
        return self._clock() - fetched if fetched else None

    def is_asking(self, key: K) -> bool:
        """Whether a fetch is under way, which `refetch` would join."""
        return key in self._flights

    def forget(self, key: K) -> None:
        """Drops the value. Later callers do not join a fetch that is under way."""
        self._entries.pop(key, None)
        self._refusals.pop(key, None)
        self._flights.pop(key, None)

    async def _fly(self, key: K) -> V:
        flight = asyncio.current_task()
        asked_at = self._clock()
        try:
            value = await self._fetch(key)
        except Unavailable:
            entry = self._entries.get(key)
            now = self._clock()
            if entry is None or now >= entry.fetched_at + self._limits.stale:
                raise
            entry.use_until = now + RETRY_AFTER_OUTAGE
            self.stale_answers += 1
            _log.warning("%s: source unavailable; using what was fetched at %s", self._name, entry.fetched_at)
            return entry.value
        except BaseException as failure:
            if self._flights.get(key) is flight:
                self._entries.pop(key, None)
                self._keep_refusal(key, failure)
            raise
        if self._flights.get(key) is flight:
            self._keep(key, value, asked_at)
        return value

    def _keep(self, key: K, value: V, asked_at: datetime) -> None:
        self._refusals.pop(key, None)
        self._entries[key] = _Entry(value, asked_at, asked_at + self._limits.ttl)
        self._entries.move_to_end(key)
        if len(self._entries) > self._limits.size:
            self._entries.popitem(last=False)

    def _keep_refusal(self, key: K, failure: BaseException) -> None:
        if not self._limits.refusal or not isinstance(failure, Exception):
            return
        self._refusals[key] = _Refusal(failure, self._clock() + self._limits.refusal)
        self._refusals.move_to_end(key)
        if len(self._refusals) > self._limits.size:
            self._refusals.popitem(last=False)

    def _landed(self, key: K, flight: "asyncio.Task[V]") -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # marks it as retrieved, in case no caller waits any more
