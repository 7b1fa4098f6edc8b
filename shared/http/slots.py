"""Bounds on requests that run, wait for their turn, or wait for their client's body; others are shed."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from shared.errors import Unavailable
from shared.http.limits import Limits

T = TypeVar("T")


class Slots:
    """Slots for `Limits.running` requests. A request that waits for its client's body gives its slot up."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._free = asyncio.Semaphore(limits.running)
        self._waiting = 0
        self.shed = 0
        """How many requests have been shed."""
        self._aside: set[object] = set()

    async def take(self) -> None:
        """Waits for a slot. Raises `Unavailable` if too many wait already."""
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
        """The body that `call`'s client sends. If it is not there at once, `call` gives up its slot until it
        has come. Raises `TimeoutError`; `Unavailable` if too many wait for bodies already.
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
        """Gives the slot up and starts the body's time limit; without room, the time is over at once."""
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
