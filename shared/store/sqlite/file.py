"""The SQLite file: its schema, its connections, and the lock between its writers."""

import fcntl
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from shared.errors import Unavailable
from shared.store import StoreError

SCHEMA_VERSION = 1
LOCK_SECONDS = 1.5

_LOCK_PAUSE_SECONDS = 0.00005
_GATE_PAUSE_SECONDS = 0.0003

_TABLE = """
CREATE TABLE IF NOT EXISTS docs (
    path TEXT NOT NULL PRIMARY KEY,
    coll TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    rev TEXT NOT NULL,
    maker TEXT
)
"""


class Damaged(StoreError):
    """The file is not a store, is damaged, or was created by another version of this program."""


class WriteLock:
    """A fair lock of two files beside the store: a waiting process holds `.gate`, so that a busy writer
    cannot take `.lock` again before it. SQLite's busy handler lets one process starve another for seconds.
    """

    def __init__(self, path: Path) -> None:
        self._gate = _opened(path.with_name(path.name + ".gate"))
        self._lock = _opened(path.with_name(path.name + ".lock"))

    def acquire(self, deadline: float) -> bool:
        """False if the lock is not free by `deadline`, a time on the monotonic clock."""
        if not _until(deadline, _GATE_PAUSE_SECONDS, lambda: _flocked(self._gate)):
            return False
        try:
            return _until(deadline, _LOCK_PAUSE_SECONDS, lambda: _flocked(self._lock))
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def release(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._gate)
        os.close(self._lock)


class StoreFile:
    """Opens connections, each for use in the calling thread. Creates the file before the first one."""

    def __init__(self, path: Path, indexes: Iterable[str]) -> None:
        self._path = path
        self._indexes = tuple(indexes)
        self._preparing = threading.Lock()
        self._prepared = False

    def write_lock(self) -> WriteLock:
        return WriteLock(self._path)

    @contextmanager
    def checkpoint_lock(self) -> Iterator[bool]:
        """Yields False if another process is checkpointing."""
        descriptor = _opened(self._path.with_name(self._path.name + ".checkpoint"))
        try:
            yield _flocked(descriptor)
        finally:
            os.close(descriptor)

    def connection(self, *, read_only: bool) -> sqlite3.Connection:
        """Raises Damaged, Unavailable, sqlite3.Error, OSError."""
        with self._preparing:
            connection = _connected(self._path) if self._prepared else self._prepare()
            self._prepared = True
        connection.execute(f"PRAGMA query_only = {read_only}")
        return connection

    def _prepare(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self.write_lock()) as lock:
            if not lock.acquire(time.monotonic() + LOCK_SECONDS):
                raise locked()
            if not self._path.exists():  # closing a file that is in use would release SQLite's POSIX locks
                os.close(_opened(self._path))
            connection = _connected(self._path)
            try:
                self._make_schema(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _make_schema(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise Damaged(f"{self._path} has schema {version}; this program knows {SCHEMA_VERSION}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        for statement in (_TABLE, *self._indexes):
            connection.execute(statement)
        if version != SCHEMA_VERSION:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")


def begin(connection: sqlite3.Connection, deadline: float) -> bool:
    """BEGIN IMMEDIATE. Waits for programs that write to the file without our lock. False after `deadline`."""

    def begun() -> bool:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as failure:
            if _code(failure) == sqlite3.SQLITE_BUSY:
                return False
            raise
        return True

    return _until(deadline, _GATE_PAUSE_SECONDS, begun)


def locked() -> Unavailable:
    return Unavailable("store_busy", "The store is locked by another process. Try again.")


def unavailable() -> Unavailable:
    return Unavailable("store_unavailable", "The store did not answer. Try again.")


def is_damage(failure: sqlite3.Error) -> bool:
    return _code(failure) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_sqlite_failure(failure: Exception) -> bool:
    """Whether the file or the machine caused the failure, and not a wrong call."""
    return isinstance(failure, sqlite3.Error) and _code(failure) != 0


def _code(failure: sqlite3.Error) -> int:
    return getattr(failure, "sqlite_errorcode", 0) & 0xFF


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA wal_autocheckpoint = 32000")
    return connection


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _flocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _until(deadline: float, pause_seconds: float, attempt: Callable[[], bool]) -> bool:
    while not attempt():
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause_seconds * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
    return True
