"""What the contract suite needs of an implementation of the store port, beside the port itself."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared.ids import new_id
from shared.store import (
    AlreadyExists,
    Body,
    Create,
    Query,
    Scope,
    Stale,
    Store,
    Unknown,
    Version,
    Write,
)
from shared.store.sqlite import SqliteStore

BY_STATUS = Query("by_status", "things", ("status",), "at")
BY_FLAG = Query("by_flag", "things", ("flag",))
BY_TWO = Query("by_two", "things", ("status", "flag"), "at", descending=True)
OLDEST = Query("oldest", "things", order="at")
NEWEST = Query("newest", "things", order="at", descending=True)
BY_ID = Query("by_id", "things")
BY_ID_DOWN = Query("by_id_down", "things", descending=True)
TENANTS = Query("tenants", "tenants", ("status",), "name")
ENTRIES = Query("entries", "entries", order="at")
UNDECLARED = Query("undeclared", "things", ("at",), "status")

QUERIES = (BY_STATUS, BY_FLAG, BY_TWO, OLDEST, NEWEST, BY_ID, BY_ID_DOWN, TENANTS, ENTRIES)


Step = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """What happens meanwhile, unless a case says more."""


class Harness(ABC):
    """One implementation with empty data. `close` closes every store that it gave."""

    @abstractmethod
    def open(self) -> Store:
        """A store of its own on the same data each time, as another instance would have."""

    @abstractmethod
    def lose_next_replies(self, store: Store, count: int, meanwhile: Step = nothing) -> None:
        """The next `count` tries to commit happen, or are refused, but nobody hears of it.

        `meanwhile` runs after each of them, before the next one.
        """

    @abstractmethod
    def lose_next_requests(self, store: Store, count: int) -> None:
        """The next `count` tries to commit do not happen, and nobody hears of that either."""

    @abstractmethod
    async def close(self) -> None: ...


class LossyStore(SqliteStore):
    """Loses what it is told to lose between `commit` and the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, QUERIES)
        self.replies_to_lose = 0
        self.requests_to_lose = 0
        self.meanwhile: Step = nothing

    async def _commit_once(self, attempt: str, writes: Sequence[Write]) -> list[Version | None]:
        if self.requests_to_lose:
            self.requests_to_lose -= 1
            raise Unknown
        if not self.replies_to_lose:
            return await super()._commit_once(attempt, writes)
        self.replies_to_lose -= 1
        with suppress(AlreadyExists, Stale):
            await super()._commit_once(attempt, writes)
        await self.meanwhile()
        raise Unknown


class SqliteHarness(Harness):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "store.db"
        self._stores: list[LossyStore] = []

    def open(self) -> Store:
        self._stores.append(LossyStore(self._path))
        return self._stores[-1]

    def lose_next_replies(self, store: Store, count: int, meanwhile: Step = nothing) -> None:
        assert isinstance(store, LossyStore)
        store.replies_to_lose = count
        store.meanwhile = meanwhile

    def lose_next_requests(self, store: Store, count: int) -> None:
        assert isinstance(store, LossyStore)
        store.requests_to_lose = count

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


def marker(store: Store) -> Create:
    """The `Create` that every commit needs, where a case is about another write."""
    return Create(store.tenant("t").key("markers", new_id("mrk")), {})


async def fill(store: Store, scope: Scope, bodies: dict[str, Body]) -> None:
    if bodies:
        await store.commit(*(Create(scope.key("things", name), body) for name, body in bodies.items()))


async def names(scope: Scope, query: Query, **how: Any) -> list[str]:
    """Every id of the result, page by page."""
    met: list[str] = []
    cursor = None
    while True:
        page = await scope.query(query, cursor=cursor, **how)
        assert len(page.docs) <= how.get("limit", 100)
        met += [doc.key.id for doc in page.docs]
        if page.cursor is None:
            return met
        assert page.docs
        cursor = page.cursor


def typed(value: object) -> object:
    """With the types in it, since True == 1."""
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value), value
