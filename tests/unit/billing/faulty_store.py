"""A store that dies at one step, or is away."""

from collections.abc import Mapping

from shared.errors import Unavailable
from shared.store import Doc, Key, Page, Query, Store, Version, Write


class Crash(Exception):
    """The process dies."""


class FaultyStore(Store):
    """Dies at one step, a read or a commit, before it or after it."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.steps = 0
        self.dies_at: int | None = None
        self.dies_after = False
        self.is_down = False

    def _is_time(self, *, after: bool) -> bool:
        return self.steps == self.dies_at and self.dies_after == after

    def _before(self) -> None:
        if self.is_down:
            raise Unavailable("store_unavailable", "The store did not answer. Try again.")
        self.steps += 1
        if self._is_time(after=False):
            raise Crash

    def _after(self) -> None:
        if self._is_time(after=True):
            raise Crash

    async def read(self, *keys: Key) -> list[Doc | None]:
        self._before()
        found = await self._inner.read(*keys)
        self._after()
        return found

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
        self._before()
        page = await self._inner.run(query, collection, equal, since, until, limit, cursor)
        self._after()
        return page

    async def commit(self, *writes: Write) -> list[Version | None]:
        self._before()
        versions = await self._inner.commit(*writes)
        self._after()
        return versions

    async def close(self) -> None:
        await self._inner.close()
