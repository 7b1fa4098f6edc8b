"""The time at which a refusal is sent: it tells neither why a try was refused nor what was written of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any

SECONDS = 0.25
"""A refusal is sent this long after its try began, or a multiple of it. Reads and a hash take less."""
_EARLY_SECONDS = 0.002

Work = Coroutine[Any, Any, None]
Pausing = Callable[[float, Work | None], Awaitable[None]]
"""What `Pause` is called with."""

_log = logging.getLogger(__name__)


class Pause:
    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._working: set[asyncio.Task[None]] = set()

    async def __call__(self, began: float, work: Work | None = None) -> None:
        """Waits until the next multiple of `SECONDS` after `began`, a `monotonic()`.

        `work` starts now and runs to its end in the background, even if the caller gives up. Its failures are
        logged.
        """
        if work is not None:
            task = asyncio.create_task(work)
            self._working.add(task)
            task.add_done_callback(self._ended)
        passed = (monotonic() - began) // self._seconds
        await _until(began + (passed + 1) * self._seconds)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            _log.error("what goes with a refusal failed", exc_info=failure)


async def _until(ends: float) -> None:
    """Waits exactly. The loop's timers fire a whole number of milliseconds after whatever woke the loop last,
    so a write in between would show as a difference of half a millisecond.
    """
    await asyncio.sleep(ends - _EARLY_SECONDS - monotonic())
    while monotonic() < ends:  # noqa: ASYNC110 - a time is awaited, for two milliseconds
        await asyncio.sleep(0)
