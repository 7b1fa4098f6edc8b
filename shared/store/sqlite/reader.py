"""The threads that read: one for documents by path, in batches, and one for queries."""

import sqlite3
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from shared.store.sqlite.file import StoreFile
from shared.store.sqlite.query import Statement
from shared.store.sqlite.thread import BatchThread, Job

_MAX_WAITING_PATHS = 20_000
_MAX_BATCH_PATHS = 2_000
_MAX_WAITING_QUERIES = 1_000

_ONE = "SELECT path, body, rev, maker FROM docs WHERE path = ?"
_MANY = (
    "SELECT d.path, d.body, d.rev, d.maker FROM json_each(?) AS k CROSS JOIN docs AS d ON d.path = k.value"
)

R = TypeVar("R")
A = TypeVar("A")

Found = tuple[str, str, str, str | None]
"""Path, body, revision, maker (None where that is the revision)."""


class _Reader(BatchThread[R, A]):
    def __init__(self, name: str, file: StoreFile, *, max_waiting: int, max_batch: int) -> None:
        self._file = file
        self._opened: sqlite3.Connection | None = None
        super().__init__(name, max_waiting=max_waiting, max_batch=max_batch)

    def _connection(self) -> sqlite3.Connection:
        self._opened = self._opened or self._file.connection(read_only=True)
        return self._opened

    def _disconnect(self) -> None:
        if self._opened is not None:
            self._opened.close()
        self._opened = None


class PointReader(_Reader[Sequence[str], list[Found | None]]):
    """Reads each batch by one statement, and so from one snapshot of the store."""

    def __init__(self, file: StoreFile) -> None:
        super().__init__("store-reader", file, max_waiting=_MAX_WAITING_PATHS, max_batch=_MAX_BATCH_PATHS)

    async def read(self, paths: Sequence[str]) -> list[Found | None]:
        return await self.ask(paths, len(paths))

    def _work(self, batch: list[Job[Sequence[str], list[Found | None]]]) -> None:
        paths = list({path for job in batch for path in job.request})
        if len(paths) == 1:
            found = self._connection().execute(_ONE, paths).fetchall()
        else:
            found = self._connection().execute(_MANY, (msgspec.json.encode(paths).decode(),)).fetchall()
        by_path = {row[0]: row for row in found}
        for job in batch:
            job.answer = [by_path.get(path) for path in job.request]


class QueryReader(_Reader[Statement, list[Found]]):
    """Runs one query at a time, in its own thread so that reads by path need not wait."""

    def __init__(self, file: StoreFile) -> None:
        super().__init__("store-queries", file, max_waiting=_MAX_WAITING_QUERIES, max_batch=1)

    async def run(self, statement: Statement) -> list[Found]:
        return await self.ask(statement, 1)

    def _work(self, batch: list[Job[Statement, list[Found]]]) -> None:
        for job in batch:
            job.answer = self._connection().execute(job.request.sql, job.request.values).fetchall()
