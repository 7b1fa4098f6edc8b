"""Who runs, who waits for his turn, who waits for his client's body; whom there is no room for is shed."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from shared.errors import Unavailable
from shared.http.limits import Limits

T = TypeVar("T")


class Slots:
    """Places for `running` requests. A request that its client keeps waiting has none meanwhile."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free = asyncio.Semaphore(limits.running)
        self._waiting = 0
        self.shed = 0
        """How many there was no room for."""
        self._aside: set[object] = set()

    async def take(self) -> None:
        """Raises `Unavailable` where too many wait already."""
        if self._waiting >= self._limits.waiting and self._free.locked():
            raise self._overloaded()
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    def leave(self, call: object) -> None:
        """Called once after `take`, whatever happened to `call`."""
        if call in self._aside:
            self._aside.remove(call)
        else:
            self._free.release()

    async def receive(self, call: object, body: Awaitable[T]) -> T:
        """What `call`'s client sends. Unless it is there at once, `call` steps aside until it has come, and
        takes a place again. Raises `TimeoutError`; `Unavailable` where too many stand aside already.
        """
        try:
            async with asyncio.timeout(None) as limit:
                parting = asyncio.get_running_loop().call_soon(self._step_aside, call, limit)
                try:
                    received = await body
                finally:
                    parting.cancel()
        except TimeoutError:
            if call in self._aside:
                raise
            refusal = self._overloaded()
            refusal.headers["Connection"] = "close"
            raise refusal from None
        if call in self._aside:
            await self.take()
            self._aside.remove(call)
        return received

    def _step_aside(self, call: object, limit: asyncio.Timeout) -> None:
        """From now on it has time; where there is no room for it, none."""
        now = asyncio.get_running_loop().time()
        if len(self._aside) < self._limits.receiving:
            self._aside.add(call)
            self._free.release()
            limit.reschedule(now + self._limits.body_seconds)
        else:
            limit.reschedule(now)

    def _overloaded(self) -> Unavailable:
        self.shed += 1
        return Unavailable("overloaded", "Too many requests at once. Try again.")
