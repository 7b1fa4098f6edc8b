"""The store port: documents with versions, conditional writes, declared queries; no transactions.

A use-case reads, asks the domain, and commits a list of writes, all or nothing. If a document has changed
meanwhile the commit raises `Stale`, and `until_not_stale` runs the whole step again. One contract suite tests
every adapter (`sqlite/`, `firestore/`).
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from shared.errors import Unavailable
from shared.store.documents import (
    MAX_COMMIT_BYTES,
    MAX_COMPARED_BYTES,
    MAX_DOCUMENT_BYTES,
    MAX_NAME_BYTES,
    MAX_WRITES,
    Add,
    AlreadyExists,
    Body,
    Check,
    Create,
    Delete,
    Doc,
    DocumentTooLarge,
    Key,
    OutOfRange,
    Replace,
    Stale,
    StoreError,
    Unknown,
    Update,
    Version,
    Write,
)
from shared.store.paths import collection_name, escaped

__all__ = (
    "MAX_COMMIT_BYTES",
    "MAX_COMPARED_BYTES",
    "MAX_DOCUMENT_BYTES",
    "MAX_NAME_BYTES",
    "MAX_WRITES",
    "ROOT_COLLECTIONS",
    "Add",
    "AlreadyExists",
    "Body",
    "Check",
    "Create",
    "Delete",
    "Doc",
    "DocumentTooLarge",
    "Key",
    "OutOfRange",
    "Page",
    "Query",
    "Replace",
    "Scope",
    "Stale",
    "Store",
    "StoreError",
    "Unknown",
    "Update",
    "Version",
    "Write",
    "until_not_stale",
)

T = TypeVar("T")

ROOT_COLLECTIONS = frozenset({"tenants", "slugs", "keyring", "stripe_customers", "outbox", "quarantine"})


class Query(msgspec.Struct, frozen=True):
    """A declared query over the collection `kind`, a constant in a `records.py`.

    Whoever runs it gives a value for each of the `equal` fields. `order` is a field, or None for the id. The
    order field may be bounded by `since` (inclusive) and `until` (exclusive), which have one type: then only
    values of that type are found. Results are sorted by (order, escaped id), integers before strings, upwards
    unless `descending`, which needs an order field. A document whose order field is neither a string nor an
    integer is not in the result.
    """

    name: str
    kind: str
    equal: tuple[str, ...] = ()
    order: str | None = None
    descending: bool = False


class Page(msgspec.Struct, frozen=True):
    """A part of a result. `cursor` continues after its last document; None: this was the last part."""

    docs: list[Doc]
    cursor: str | None


class Scope:
    """The documents below one prefix. No argument reaches a document outside of it."""

    def __init__(self, store: "Store", prefix: str, roots: frozenset[str] | None) -> None:
        self._store = store
        self._prefix = prefix
        self._roots = roots

    def key(self, *segments: str) -> Key:
        """The key of a document: collection names and ids in turn, `key("users", user_id)`. An id has 1 to
        1500 bytes, escaped. Raises ValueError for anything else.
        """
        if not segments or len(segments) % 2:
            raise ValueError(f"a document path has collection and id in turn: {segments!r}")
        return Key(self._path(segments))

    def _path(self, segments: Sequence[str]) -> str:
        if self._roots is not None:
            if segments[0] not in self._roots:
                raise ValueError(f"{segments[0]!r} is no root collection")
            if segments[0] == "tenants" and len(segments) > 2:
                raise ValueError("what belongs to a tenant is reached through store.tenant() only")
        parts = [
            escaped(segment) if index % 2 else collection_name(segment)
            for index, segment in enumerate(segments)
        ]
        return self._prefix + "/".join(parts)

    async def get(self, *segments: str) -> Doc | None:
        return (await self._store.read(self.key(*segments)))[0]

    async def query(
        self,
        query: Query,
        *parents: str,
        equal: Mapping[str, str | int | bool] | None = None,
        since: str | int | None = None,
        until: str | int | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """Runs a declared query in this scope. `parents` lead to a nested collection (`"outbox", "auth-0"`).

        Raises ValueError for an undeclared query; for `equal` fields other than the declared ones; for values
        that no document can hold, or over `MAX_COMPARED_BYTES`; for a cursor that is broken or was made by
        another query, collection or `equal`.
        """
        equal = dict(equal or {})
        if set(equal) != set(query.equal):
            raise ValueError(f"{query.name} takes exactly {query.equal}")
        bounds = [bound for bound in (since, until) if bound is not None]
        if bounds and (query.order is None or {type(bound) for bound in bounds} not in ({str}, {int})):
            raise ValueError(f"{query.name} is bounded by strings or by integers, if it has an order field")
        for operand in (*equal.values(), *bounds):
            _check_operand(operand)
        if len(parents) % 2 or not 1 <= limit <= 1000:
            raise ValueError("parents come in pairs and limit is 1 to 1000")
        collection = self._path((*parents, query.kind))
        return await self._store.run(query, collection, equal, since, until, limit, cursor)


class Store(ABC):
    """The port that use-cases see: two scopes, one read, one commit."""

    def tenant(self, tenant_id: str) -> Scope:
        """Everything below `tenants/{tenant_id}/`, and nothing else."""
        return Scope(self, f"tenants/{escaped(tenant_id)}/", None)

    def platform(self) -> Scope:
        """The root collections (`ROOT_COLLECTIONS`), and nothing below a tenant."""
        return Scope(self, "", ROOT_COLLECTIONS)

    @abstractmethod
    async def read(self, *keys: Key) -> list[Doc | None]:
        """Reads all of them at one point in time; answers in the order of `keys`. Raises `Unavailable`."""

    @abstractmethod
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
        """Called by `Scope.query`, which has checked the arguments. Raises `Unavailable`."""

    @abstractmethod
    async def commit(self, *writes: Write) -> list[Version | None]:
        """Does all of the writes or none. Returns each document's new version (None for Delete and Check).

        Every commit holds a `Create`, which resolves a lost reply: if that document is there with the id of
        this attempt, the commit happened; else it is submitted again. (Deletes without a version need none,
        since doing them twice is the same as once.)

        Raises `Stale`; `AlreadyExists`; `DocumentTooLarge`; `OutOfRange`; ValueError for what is no body; and
        `Unavailable`, after which it is unknown whether the commit happened.

        After `OutOfRange` nothing is written, with one exception on Firestore (decision 0008): if something
        other than an `Add` has set a field within 2**48 of a limit of 64 bits, and this process has not seen
        that value, then the field is set to the limit and the rest of the commit is done. Repeating such a
        commit does it twice.
        """

    @abstractmethod
    async def close(self) -> None: ...


async def until_not_stale(attempt: Callable[[], Awaitable[T]]) -> T:
    """Runs a step that reads, decides and commits, again as long as it raises `Stale`. Raises `Unavailable`
    after 30 tries.
    """
    for tries in range(30):
        try:
            return await attempt()
        except Stale:
            await asyncio.sleep(random.uniform(0, min(0.001 * 2**tries, 0.1)))  # noqa: S311 - jitter
    raise Unavailable("contention", "Too many changes at once to the same thing. Try again.")


def _check_operand(value: str | int | bool) -> None:
    if isinstance(value, str):
        if len(value.encode()) > MAX_COMPARED_BYTES:  # a lone surrogate is a UnicodeEncodeError, a ValueError
            raise ValueError(f"a query compares at most {MAX_COMPARED_BYTES} bytes")
    elif not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError(f"{value!r} is nothing that a field can be compared with")
