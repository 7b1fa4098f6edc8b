"""Checkpoints SQLite's write-ahead log in a thread of its own: on a slow disk this can take a second."""

import logging
import sqlite3
import threading
import time
from contextlib import closing
from queue import SimpleQueue

from shared.store.sqlite.file import LOCK_SECONDS, StoreFile

_ROWS = 1_000
"""How many rows change between two checkpoints; that is some megabytes of log."""

_LONG_LOG_PAGES = 8_000

_log = logging.getLogger(__name__)


class Checkpoints:
    """Belongs to a writer's thread. Only one process checkpoints at a time; the others skip theirs."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._rows = 0
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-checkpoints", daemon=True)
        self._thread.start()

    def count(self, rows: int) -> None:
        self._rows += rows
        if self._rows >= _ROWS:
            self._rows = 0
            self._wanted.put(True)

    def close(self) -> None:
        self._wanted.put(False)
        self._thread.join()

    def _run(self) -> None:
        while self._wanted.get():
            try:
                with closing(self._file.connection(read_only=False)) as connection:
                    self._carry_over(connection)
            except (sqlite3.Error, OSError) as failure:
                _log.warning("the log was not carried over: %r", failure)

    def _carry_over(self, connection: sqlite3.Connection) -> None:
        with self._file.checkpoint_lock() as mine:
            if mine and _checkpoint(connection, "PASSIVE") > _LONG_LOG_PAGES:
                _checkpoint(connection, "PASSIVE")
                self._start_over(connection)

    def _start_over(self, connection: sqlite3.Connection) -> None:
        """Blocks writers for a short checkpoint: under continuous writes the log would never be restarted."""
        with closing(self._file.write_lock()) as lock:
            if lock.acquire(time.monotonic() + LOCK_SECONDS):
                _checkpoint(connection, "RESTART")


def _checkpoint(connection: sqlite3.Connection, mode: str) -> int:
    """Returns the length of the log in pages."""
    pages: int = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[1]
    return pages
