"""What the contract suite needs of an implementation of the store port, beside the port itself."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from shared.errors import Unavailable
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
from shared.store.firestore import FirestoreStore
from shared.store.firestore.connection import Connection
from shared.store.sqlite import SqliteStore
from tests.fault_proxy import Fault, FaultProxy, fault_proxy

BY_STATUS = Query("by_status", "things", ("status",), "at")
BY_FLAG = Query("by_flag", "things", ("flag",))
BY_TWO = Query("by_two", "things", ("status", "flag"), "at", descending=True)
OLDEST = Query("oldest", "things", order="at")
NEWEST = Query("newest", "things", order="at", descending=True)
BY_ID = Query("by_id", "things")
TENANTS = Query("tenants", "tenants", ("status",), "name")
ENTRIES = Query("entries", "entries", order="at")
UNDECLARED = Query("undeclared", "things", ("at",), "status")

QUERIES = (BY_STATUS, BY_FLAG, BY_TWO, OLDEST, NEWEST, BY_ID, TENANTS, ENTRIES)


Step = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """What happens meanwhile, unless a case says more."""


class Harness(ABC):
    """One implementation with empty data. `close` closes every store that it gave."""

    tears_reads = False
    """Whether what stands in for the real thing shows commits half done (decision 0008)."""

    @abstractmethod
    def open(self, queries: Iterable[Query] = QUERIES) -> Store:
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

    def __init__(self, path: Path, queries: Iterable[Query]) -> None:
        super().__init__(path, queries)
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

    def open(self, queries: Iterable[Query] = QUERIES) -> Store:
        self._stores.append(LossyStore(self._path, queries))
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


class LossyConnection(Connection):
    """Makes its lost calls through a proxy that loses them for real."""

    def __init__(self, database: str, emulator_host: str) -> None:
        super().__init__(database, emulator_host)
        self.replies_to_lose = 0
        self.requests_to_lose = 0
        self.meanwhile: Step = nothing
        self._proxy: FaultProxy | None = None
        self._proxies = AsyncExitStack()

    async def commit(self, request: Any, seconds: float) -> Any:
        if self.requests_to_lose:
            self.requests_to_lose -= 1
            return await self._lost(Fault.LOST_REQUESTS, request, seconds)
        if not self.replies_to_lose:
            return await super().commit(request, seconds)
        self.replies_to_lose -= 1
        try:
            return await self._lost(Fault.LOST_REPLIES, request, seconds)
        finally:
            await self.meanwhile()

    async def _lost(self, fault: Fault, request: Any, seconds: float) -> Any:
        if self._proxy is None:
            self._proxy = await self._proxies.enter_async_context(fault_proxy(self._emulator_host))
            await super().close()
            self._emulator_host = self._proxy.address
        losses = self._proxy.losses
        self._proxy.fault = fault
        try:
            return await super().commit(request, seconds)
        finally:
            self._proxy.fault = Fault.NONE
            assert self._proxy.losses == losses + 1

    async def close(self) -> None:
        await super().close()
        await self._proxies.aclose()


class LossyFirestoreStore(FirestoreStore):
    """Patient, since a busy machine is no outage; `tests/faults` is about time."""

    call_seconds = 5.0

    def __init__(self, database: str, host: str, queries: Iterable[Query]) -> None:
        super().__init__("test", database, queries, emulator_host=host)
        self.connection = LossyConnection(f"projects/test/databases/{database}", host)
        self._connection = self.connection


class FirestoreHarness(Harness):
    """A database of its own on a running emulator, which makes it when it is first named."""

    tears_reads = True

    def __init__(self, host: str) -> None:
        self._host = host
        self.database = new_id("db").replace("_", "-")
        self._stores: list[LossyFirestoreStore] = []

    def open(self, queries: Iterable[Query] = QUERIES) -> Store:
        self._stores.append(LossyFirestoreStore(self.database, self._host, queries))
        return self._stores[-1]

    def lose_next_replies(self, store: Store, count: int, meanwhile: Step = nothing) -> None:
        assert isinstance(store, LossyFirestoreStore)
        store.connection.replies_to_lose = count
        store.connection.meanwhile = meanwhile

    def lose_next_requests(self, store: Store, count: int) -> None:
        assert isinstance(store, LossyFirestoreStore)
        store.connection.requests_to_lose = count

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


async def warm(host: str) -> None:
    """An emulator that has just started takes a second for its first commit."""
    store = FirestoreStore("test", "warm", (), emulator_host=host)
    for _ in range(20):
        with suppress(Unavailable):
            await store.commit(marker(store))
            break
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
