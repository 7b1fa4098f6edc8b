"""The threads that read: one for documents by path, a batch in one statement, and one for queries."""

import sqlite3
from collections.abc import Sequence

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

Found = tuple[str, str, str, str | None]
"""Path, body, revision, maker (None where that is the revision)."""


class PointReader(BatchThread[Sequence[str], list[Found | None]]):
    """Every batch is one statement, and so one state of the whole store."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        super().__init__("store-reader", max_waiting=_MAX_WAITING_PATHS, max_batch=_MAX_BATCH_PATHS)

    async def read(self, paths: Sequence[str]) -> list[Found | None]:
        return await self.ask(paths, len(paths))

    def _work(self, batch: list[Job[Sequence[str], list[Found | None]]]) -> None:
        connection = self._connection = self._connection or self._file.connection(read_only=True)
        paths = list({path for job in batch for path in job.request})
        if len(paths) == 1:
            found = connection.execute(_ONE, paths).fetchall()
        else:
            found = connection.execute(_MANY, (msgspec.json.encode(paths).decode(),)).fetchall()
        by_path = {row[0]: row for row in found}
        for job in batch:
            job.answer = [by_path.get(path) for path in job.request]

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class QueryReader(BatchThread[Statement, list[Found]]):
    """One query at a time, where it keeps nobody waiting who knows a path."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        super().__init__("store-queries", max_waiting=_MAX_WAITING_QUERIES, max_batch=1)

    async def run(self, statement: Statement) -> list[Found]:
        return await self.ask(statement, 1)

    def _work(self, batch: list[Job[Statement, list[Found]]]) -> None:
        connection = self._connection = self._connection or self._file.connection(read_only=True)
        for job in batch:
            job.answer = connection.execute(job.request.sql, job.request.values).fetchall()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
