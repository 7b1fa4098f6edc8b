"""A time limit for requests, with one timer for all of them: `asyncio.timeout` takes a timer for each."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlines:
    """Cancels work that takes longer than `seconds`, up to an eighth of that time late."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Awaitable[T]) -> T:
        """Awaits `work`. Raises `TimedOut`. A task must not nest calls."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._since[task] = asyncio.get_running_loop().time()
        if self._timer is None:
            self._arm()
        try:
            return await work
        except asyncio.CancelledError:
            if task in self._ended and task.uncancel() == 0:
                raise TimedOut from None
            raise
        finally:
            del self._since[task]
            self._ended.discard(task)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds / 8, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        if not self._since:
            return
        latest = asyncio.get_running_loop().time() - self._seconds
        for task, since in self._since.items():
            if since <= latest and task not in self._ended:
                self._ended.add(task)
                task.cancel()
        self._arm()


class TimedOut(Exception):
    """The work took longer than its time limit."""
