"""The bus on one SQLite file, for many processes: durable, at least once, with backoff and dead letters."""

import asyncio
import fcntl
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from shared import bus
from shared.bus import Message, tables
from shared.bus.dead_letters import MAX_ATTEMPTS, SUFFIX
from shared.bus.tables import Leased
from shared.errors import Unavailable
from shared.ids import Clock, utc_now

T = TypeVar("T")


class FileLock:
    """Taken before SQLite's own lock, whose busy handler can starve a process for seconds."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._file = open(path, "ab")  # noqa: SIM115 - closed in `close`
        self._seconds = seconds

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises TimeoutError if the holder does not release it (a stopped process)."""
        deadline = time.monotonic() + self._seconds
        while not self._taken():
            if time.monotonic() > deadline:
                raise TimeoutError("the bus is locked")
            time.sleep(random.uniform(0.0002, 0.0008))  # noqa: S311 - jitter
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        self._file.close()

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class _Handles(msgspec.Struct, frozen=True):
    db: sqlite3.Connection
    lock: FileLock


class LocalBus:
    """`bus.Bus`, and the consumer's side for a relay.

    A failed delivery (`nack`, or an expired lease) is retried after `base_seconds`, doubled each time up to
    `cap_seconds`, plus up to a tenth. The fifth failure publishes it to the dead-letter topic, if the
    subscription has one. Completed calls survive the death of any process; a power failure may lose the last.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock = utc_now,
        *,
        base_seconds: float = 0.5,
        cap_seconds: float = 60.0,
        lock_seconds: float = 5.0,
    ) -> None:
        self._path = path
        self._lock_seconds = lock_seconds
        self._clock = clock
        self._base_seconds = base_seconds
        self._cap_seconds = cap_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bus")
        self._handles: _Handles | None = None
        self._watcher: sqlite3.Connection | None = None

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        bus.check(topic, *messages)
        if messages:
            await self._write(lambda db: tables.publish(db, topic, tuple(messages), self._now()))

    async def subscribe(self, topic: str, subscription: str, dead_letter_topic: str = "") -> None:
        """From now on `subscription` gets the messages of `topic` (a dead-letter one, too). Idempotent.

        A message that fails five times goes to `dead_letter_topic`; without one it is retried for ever.
        """
        if topic.removesuffix(SUFFIX) not in bus.TOPICS or not subscription:
            raise ValueError(f"{topic!r} is no topic, or the subscription has no name")
        await self._write(lambda db: tables.subscribe(db, topic, subscription, dead_letter_topic))

    async def lease(self, subscription: str, limit: int, seconds: float) -> list[Leased]:
        """Up to `limit` deliveries that are due, the longest due first. ValueError: no such subscription."""
        return await self._on_thread(lambda handles: self._lease(handles, subscription, limit, seconds))

    async def due_in(self, subscription: str) -> float | None:
        """Seconds until `lease` may find something; None: nothing is pending. ValueError as for `lease`."""
        due = await self._read(lambda db: tables.next_due(db, subscription))
        return None if due is None else max(0.0, (due - self._now()) / 1e6)

    def change_count(self) -> int:
        """A number that differs after every change by any process. Takes microseconds and never waits."""
        if self._watcher is None:
            self._watcher = sqlite3.connect(self._path)
        return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    async def ack(self, leased: Leased) -> bool:
        """Acknowledges a delivery. False if it has lost its lease: the message is delivered again."""
        return await self._write(lambda db: tables.ack(db, leased.id, leased.lease))

    async def nack(self, leased: Leased) -> None:
        """Reports a failed delivery, which is retried later or becomes a dead letter."""
        await self._write(lambda db: self._fail(db, leased.id, leased.lease))

    async def release(self, leased: Leased) -> None:
        """Returns a delivery untried: it is due at once, and the attempt does not count."""
        await self._write(lambda db: tables.release(db, leased.id, leased.lease, self._now()))

    async def pending(self, subscription: str) -> int:
        """The number of messages not yet acknowledged, those in flight included."""
        return await self._read(lambda db: tables.pending(db, subscription))

    async def close(self) -> None:
        """After this every call raises `Unavailable`."""
        if self._watcher is not None:
            self._watcher.close()
        await asyncio.to_thread(self._close)

    def _lease(self, handles: _Handles, subscription: str, limit: int, seconds: float) -> list[Leased]:
        db, now = handles.db, self._now()
        due = tables.next_due(db, subscription)
        if due is None or due > now:
            return []
        with _transaction(handles):
            for delivery, lease in tables.expired(db, subscription, now):
                self._fail(db, delivery, lease)
            return tables.lease(db, subscription, limit, now, now + int(seconds * 1e6))

    def _fail(self, db: sqlite3.Connection, delivery: int, lease: str) -> None:
        attempts = tables.attempts(db, delivery, lease)
        if attempts is None or (attempts >= MAX_ATTEMPTS and tables.forward(db, delivery, self._now())):
            return
        seconds = delay_seconds(attempts, self._base_seconds, self._cap_seconds)
        tables.postpone(db, delivery, self._now() + int(seconds * 1e6))

    def _now(self) -> int:
        return tables.micros(self._clock())

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._on_thread(lambda handles: work(handles.db))

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def locked(handles: _Handles) -> T:
            with _transaction(handles):
                return work(handles.db)

        return await self._on_thread(locked)

    async def _on_thread(self, work: Callable[[_Handles], T]) -> T:
        try:
            job = self._thread.submit(lambda: work(self._open()))
        except RuntimeError as closed:
            raise Unavailable("bus_closed", "The bus is closed.") from closed
        try:
            return await asyncio.wrap_future(job)
        except (sqlite3.Error, OSError) as failure:
            raise Unavailable("bus_unavailable", "The bus did not answer. Try again.") from failure

    def _open(self) -> _Handles:
        if self._handles is None:
            self._handles = _connect(self._path, self._lock_seconds)
        return self._handles

    def _close(self) -> None:
        self._thread.shutdown()
        if self._handles is not None:
            self._handles.db.close()
            self._handles.lock.close()
            self._handles = None


def delay_seconds(attempts: int, base_seconds: float, cap_seconds: float) -> float:
    """The delay after so many failures: doubled each time up to the cap, plus up to a tenth."""
    seconds = min(base_seconds * 2.0 ** min(attempts - 1, 50), cap_seconds)
    return seconds * random.uniform(1.0, 1.1)  # noqa: S311 - spreads what failed together


def _connect(path: Path, lock_seconds: float) -> _Handles:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path, timeout=lock_seconds, isolation_level=None, check_same_thread=False)
    lock = FileLock(path.with_name(f"{path.name}.lock"), lock_seconds)
    try:
        with lock.held():
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            for statement in tables.SCHEMA:
                db.execute(statement)
    except BaseException:
        db.close()
        lock.close()
        raise
    return _Handles(db, lock)


@contextmanager
def _transaction(handles: _Handles) -> Iterator[None]:
    with handles.lock.held():
        handles.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            handles.db.execute("COMMIT")
        except BaseException:
            if handles.db.in_transaction:
                handles.db.execute("ROLLBACK")
            raise
