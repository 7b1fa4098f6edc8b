"""A store whose calls are timed and counted."""

import asyncio
import time
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from shared.errors import Unavailable
from shared.metrics import Metrics
from shared.store import AlreadyExists, Doc, Key, Page, Query, Stale, Store, Version, Write

T = TypeVar("T")


class MeteredStore(Store):
    """Passes every call on. A call is measured as a whole, with the adapter's retries."""

    def __init__(self, inner: Store, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def read(self, *keys: Key) -> list[Doc | None]:
        return await self._timed("read", self._inner.read(*keys))

    async def run(
        self,
        query: Query,
        collection: str,
        equal: Mapping[str, str | int | bool],
        since: str | int | None,
        until: str | int | None,
        limit: int,
        cursor: str | None,
    ) -> Page:
        return await self._timed(
            "query", self._inner.run(query, collection, equal, since, until, limit, cursor)
        )

    async def commit(self, *writes: Write) -> list[Version | None]:
        return await self._timed("commit", self._inner.commit(*writes))

    async def close(self) -> None:
        await self._inner.close()

    async def _timed(self, call: str, work: Awaitable[T]) -> T:
        started = time.perf_counter()
        outcome = "ok"
        try:
            return await work
        except BaseException as failure:
            outcome = _outcome(failure)
            raise
        finally:
            self._metrics.called(call, outcome, time.perf_counter() - started)


def _outcome(failure: BaseException) -> str:
    if isinstance(failure, Stale):
        return "stale"
    if isinstance(failure, AlreadyExists):
        return "exists"
    if isinstance(failure, asyncio.CancelledError):
        return "cancelled"
    return "unavailable" if isinstance(failure, Unavailable) else "failed"
