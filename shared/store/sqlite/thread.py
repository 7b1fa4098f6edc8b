"""A thread that processes requests in batches, and delivers a batch's answers in one wake-up of the loop."""

import asyncio
import logging
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from shared.errors import Unavailable
from shared.store import Unknown
from shared.store.sqlite.file import Damaged, is_damage, is_sqlite_failure, unavailable

R = TypeVar("R")
A = TypeVar("A")
T = TypeVar("T")

_log = logging.getLogger(__name__)


class Job(Generic[R, A]):
    """A request and its answer. `weight` counts towards the limits of queue and batch; `since` is on the
    monotonic clock.
    """

    __slots__ = ("answer", "future", "request", "since", "weight")

    def __init__(self, request: R, weight: int, future: "asyncio.Future[A]") -> None:
        self.request = request
        self.weight = weight
        self.future = future
        self.since = time.monotonic()
        self.answer: A | Exception | None = None


class BatchThread(ABC, Generic[R, A]):
    """Create it in the running event loop that awaits its answers. An answer is never None."""

    def __init__(self, name: str, *, max_waiting: int, max_batch: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[list[Job[R, A]] | None] = SimpleQueue()
        self._asked: list[Job[R, A]] = []
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._waiting = 0
        self._closing = False
        self._going = True
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def ask(self, request: R, weight: int) -> A:
        """The thread's answer, raised if it is an exception. Raises `Unavailable` if the queue is full."""
        if self._closing or self._waiting >= self._max_waiting:
            raise Unavailable("store_busy", "The store has too much to do. Try again.")
        self._waiting += weight
        job: Job[R, A] = Job(request, weight, self._loop.create_future())
        if not self._asked:
            self._loop.call_soon(self._hand_over)
        self._asked.append(job)
        return await job.future

    def _hand_over(self) -> None:
        """Hands over all requests of one turn of the loop together: each wake-up of the thread costs time."""
        if self._asked:
            self._inbox.put(self._asked)
            self._asked = []

    async def close(self) -> None:
        """Completes all queued requests, then ends the thread."""
        if not self._closing:
            self._closing = True
            self._hand_over()
            self._inbox.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()

    @abstractmethod
    def _work(self, batch: list[Job[R, A]]) -> None:
        """Sets the jobs' answers. A job without one is retried in the next batch. If it raises, each job of
        the batch fails.
        """

    @abstractmethod
    def _disconnect(self) -> None:
        """Closes the connection, after a failure or at the end. `_work` opens a new one if need be."""

    def _drain(self, batch: list[Job[R, A]]) -> None:
        """Adds requests that have arrived meanwhile to the batch, up to its limit."""
        weight = sum(job.weight for job in batch)
        while self._going and weight < self._max_batch:
            try:
                jobs = self._inbox.get_nowait()
            except Empty:
                return
            if jobs is None:
                self._going = False
            else:
                batch.extend(jobs)
                weight += sum(job.weight for job in jobs)

    def _run(self) -> None:
        batch: list[Job[R, A]] = []
        while self._going or batch:
            if not batch:
                jobs = self._inbox.get()
                if jobs is None:
                    break
                batch.extend(jobs)
            self._drain(batch)
            self._work_safely(batch)
            answered = [job for job in batch if job.answer is not None]
            batch = [job for job in batch if job.answer is None]
            self._call_loop(self._deliver, answered)
        self._disconnect()
        self._call_loop(self._ended.set_result, None)

    def _work_safely(self, batch: list[Job[R, A]]) -> None:
        try:
            self._work(batch)
        except Exception as failure:  # noqa: BLE001 - the callers get it, and the thread must go on
            _log.error("the store failed: %r", failure)
            self._disconnect()
            for job in batch:
                job.answer = _told(failure)

    def _call_loop(self, function: Callable[[T], None], argument: T) -> None:
        try:
            self._loop.call_soon_threadsafe(function, argument)
        except RuntimeError:  # the loop was closed before `close` was called: nobody waits any more
            self._going = False

    def _deliver(self, jobs: list[Job[R, A]]) -> None:
        for job in jobs:
            self._waiting -= job.weight
            if job.future.done():
                continue
            if isinstance(job.answer, Exception):
                job.future.set_exception(job.answer)
            elif job.answer is not None:
                job.future.set_result(job.answer)


def _told(failure: Exception) -> Exception:
    """A new exception for each caller, since raising one adds to its traceback."""
    if isinstance(failure, Unavailable):
        return Unavailable(failure.code, failure.detail)
    if isinstance(failure, Unknown | Damaged):
        return type(failure)(*failure.args)
    if isinstance(failure, sqlite3.Error) and is_damage(failure):
        return Damaged(f"the store's file is damaged: {failure}")
    if isinstance(failure, OSError) or is_sqlite_failure(failure):
        return unavailable()
    return RuntimeError(f"the store failed: {failure!r}")
