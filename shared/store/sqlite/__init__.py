"""The store port on one SQLite file, for any number of processes on one machine.

WAL with `synchronous=NORMAL`: acknowledged commits survive the death of every process (`kill -9`). A power
failure may lose the last commits, but never part of one, and never damages the file.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from shared.store import Doc, Key, Page, Query, Version, Write
from shared.store.adapter import Adapter
from shared.store.cursors import Operand, Position, cursor, position
from shared.store.sqlite.codec import decoded
from shared.store.sqlite.decide import prepared
from shared.store.sqlite.file import StoreFile
from shared.store.sqlite.query import index, statement
from shared.store.sqlite.reader import Found, PointReader, QueryReader
from shared.store.sqlite.writer import Writer


class SqliteStore(Adapter):
    """Create it in the running event loop, to which it then belongs, and never before a fork.

    Beside the file there are SQLite's own two, and three empty lock files (`.gate`, `.lock`, `.checkpoint`).
    SQLite is called in four threads: one writes, one reads by path, one runs queries, one checkpoints.
    The first call opens the file, or creates it. If the file is not a store, every call raises `Damaged`.
    """

    def __init__(self, path: Path | str, queries: Iterable[Query]) -> None:
        super().__init__(queries)
        file = StoreFile(Path(path), sorted({index(query) for query in self._queries}))
        self._writer = Writer(file)
        self._points = PointReader(file)
        self._query = QueryReader(file)

    async def read(self, *keys: Key) -> list[Doc | None]:
        found = await self._points.read([key.path for key in keys])
        return [None if row is None else _doc(row) for row in found]

    async def run(
        self,
        query: Query,
        collection: str,
        equal: Mapping[str, Operand],
        since: str | int | None,
        until: str | int | None,
        limit: int,
        cursor: str | None,
    ) -> Page:
        if query not in self._queries:
            raise ValueError(f"{query.name} is not declared")
        after = None if cursor is None else position(query, collection, equal, cursor)
        found = await self._query.run(statement(query, collection, equal, since, until, after, limit + 1))
        docs = [_doc(row) for row in found[:limit]]
        more = _cursor(query, collection, equal, docs[-1]) if len(found) > limit else None
        return Page(docs, more)

    async def close(self) -> None:
        for thread in (self._writer, self._points, self._query):
            await thread.close()

    async def _commit_once(self, attempt: str, writes: Sequence[Write]) -> list[Version | None]:
        return await self._writer.commit(prepared(attempt, writes))

    async def _maker_of(self, key: Key) -> str | None:
        (found,) = await self._points.read([key.path])
        return found and (found[3] or found[2])

    async def _versions(self, attempt: str, writes: Sequence[Write]) -> list[Version | None]:
        return prepared(attempt, writes).versions


def _doc(row: Found) -> Doc:
    path, text, version, _ = row
    return Doc(Key(path), decoded(text), version)


def _cursor(query: Query, collection: str, equal: Mapping[str, Operand], last: Doc) -> str:
    order = None if query.order is None else last.body[query.order]
    return cursor(query, collection, equal, Position(order, last.key.path.rpartition("/")[2]))
