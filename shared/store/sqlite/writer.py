"""The store's only writing thread: evaluates waiting commits in memory, writes them in one transaction."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from shared.store import Unknown, Version
from shared.store.sqlite.checkpoints import Checkpoints
from shared.store.sqlite.decide import Commit, Row, changes, needs_body
from shared.store.sqlite.file import LOCK_SECONDS, StoreFile, begin, locked
from shared.store.sqlite.thread import BatchThread, Job

_MAX_WAITING_BYTES = 64_000_000
_MAX_BATCH_BYTES = 8_000_000
_COMMIT_BYTES = 2_000

_LOAD = """
SELECT d.path, d.body, d.rev, d.maker FROM json_each(?) AS k CROSS JOIN docs AS d ON d.path = k.value
UNION ALL
SELECT d.path, '', d.rev, d.maker FROM json_each(?) AS k CROSS JOIN docs AS d ON d.path = k.value
"""
_DELETE = "DELETE FROM docs WHERE path IN (SELECT value FROM json_each(?))"
_ROWS_AT_ONCE = (64, 16, 4, 2, 1)

Versions = list[Version | None]
_Batch = list[Job[Commit, Versions]]


def _upsert(rows: int) -> str:
    values = ",".join(["(?,?,?,?,?,?)"] * rows)
    return (
        f"INSERT INTO docs (path, coll, kind, body, rev, maker) VALUES {values} "  # noqa: S608
        "ON CONFLICT (path) DO UPDATE SET body = excluded.body, rev = excluded.rev, maker = excluded.maker"
    )


_UPSERTS = {rows: _upsert(rows) for rows in _ROWS_AT_ONCE}


class Writer(BatchThread[Commit, Versions]):
    """Uses few statements with many rows each, because every statement releases and reacquires the GIL."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._tools: _Tools | None = None
        super().__init__("store-writer", max_waiting=_MAX_WAITING_BYTES, max_batch=_MAX_BATCH_BYTES)

    async def commit(self, commit: Commit) -> Versions:
        return await self.ask(commit, _COMMIT_BYTES + sum(map(len, commit.texts)))

    def _work(self, batch: _Batch) -> None:
        tools = self._tools = self._tools or _Tools(self._file)
        deadline = batch[0].since + LOCK_SECONDS
        if not tools.lock.acquire(deadline):
            _give_up(batch)
            return
        try:
            if begin(tools.connection, deadline):
                self._drain(batch)
                tools.checkpoints.count(_transact(tools.connection, batch))
            else:
                _give_up(batch)
        finally:
            tools.lock.release()

    def _disconnect(self) -> None:
        if self._tools is not None:
            self._tools.close()
        self._tools = None


class _Tools:
    def __init__(self, file: StoreFile) -> None:
        self.connection = file.connection(read_only=False)
        self.lock = file.write_lock()
        self.checkpoints = Checkpoints(file)

    def close(self) -> None:
        self.connection.close()
        self.lock.close()
        self.checkpoints.close()


def _give_up(batch: _Batch) -> None:
    """Refuses the commits whose time is over. Later ones are retried in the next batch."""
    now = time.monotonic()
    for job in batch:
        if job.since + LOCK_SECONDS <= now:
            job.answer = locked()


def _transact(connection: sqlite3.Connection, batch: _Batch) -> int:
    """Evaluates and commits a batch. Returns how many documents changed."""
    rows = _loaded(connection, batch)
    changed: dict[str, Row | None] = {}
    for job in batch:
        try:
            own = changes(job.request, rows)
        except Exception as refusal:  # noqa: BLE001 - it concerns this caller only
            job.answer = refusal
        else:
            rows.update(own)
            changed.update(own)
            job.answer = job.request.versions
    _store(connection, changed)
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as failure:
        raise Unknown(str(failure)) from failure
    return len(changed)


def _loaded(connection: sqlite3.Connection, batch: _Batch) -> dict[str, Row | None]:
    bodies = {write.key.path for job in batch for write in job.request.writes if needs_body(write)}
    paths = {write.key.path for job in batch for write in job.request.writes}
    rows: dict[str, Row | None] = dict.fromkeys(paths)
    found = connection.execute(_LOAD, (_json(bodies), _json(paths - bodies))).fetchall()
    rows.update((path, Row(body, rev, maker)) for path, body, rev, maker in found)
    return rows


def _store(connection: sqlite3.Connection, changed: Mapping[str, Row | None]) -> None:
    present = [_columns(path, row) for path, row in changed.items() if row is not None]
    for chunk in _chunks(present):
        connection.execute(_UPSERTS[len(chunk)], [value for columns in chunk for value in columns])
    gone = [path for path, row in changed.items() if row is None]
    if gone:
        connection.execute(_DELETE, (_json(gone),))


def _chunks(rows: list[tuple[str | None, ...]]) -> Iterator[list[tuple[str | None, ...]]]:
    start = 0
    for size in _ROWS_AT_ONCE:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def _columns(path: str, row: Row) -> tuple[str | None, ...]:
    collection = path.rpartition("/")[0]
    return path, collection, collection.rpartition("/")[2], row.text, row.rev, row.maker


def _json(paths: Iterable[str]) -> str:
    return msgspec.json.encode(list(paths)).decode()
