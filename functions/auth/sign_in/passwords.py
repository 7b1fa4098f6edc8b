"""Argon2id in a bounded pool: a hash takes 19 MiB and a core, so only a few run or wait at a time."""

import asyncio
import base64
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Generic, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import Unavailable
from shared.metrics import Reading

T = TypeVar("T")

MEMORY_KIB = 19_456
PASSES = 2
_DIGEST_BYTES = 32
_SALT_BYTES = 16
_TOGETHER = 8
"""While more hashes wait, results are handed to the event loop in groups of this size: a hash empties the
core's caches, and for a single result the loop would spend more time on refilling them than on its work.
"""


class _Job(Generic[T]):
    """A hash that a caller waits for."""

    _tell: Callable[[], object]

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()

    def run(self) -> None:
        """Runs in a thread of the pool. Does nothing if the caller has given up."""
        if self.future.done():
            return
        try:
            self._tell = partial(self.future.set_result, self._work())
        except Exception as failure:  # noqa: BLE001 - it is the caller's to see
            self._tell = partial(self.future.set_exception, failure)

    def tell(self) -> None:
        """In the loop."""
        if not self.future.done():
            self._tell()


class Passwords:
    """Hashes and verifies. `workers` hashes run and `waiting` more queue; further ones are refused (503)."""

    def __init__(self, workers: int, waiting: int) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=PASSES,
            memory_cost=MEMORY_KIB,
            parallelism=1,
            hash_len=_DIGEST_BYTES,
            salt_len=_SALT_BYTES,
            type=argon2.Type.ID,
        )
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._places = workers + waiting
        self._taken = 0
        self._shed = 0
        self._waiting: deque[_Job[Any]] = deque()
        self._done: deque[_Job[Any]] = deque()
        self._decoy = _random_hash()

    async def hash(self, password: str) -> str:
        """In the PHC string format. Raises `Unavailable` `password_queue_full`."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, known: str | None, password: str) -> bool:
        """Whether `known` is a hash of `password`. None takes as much work as any hash."""
        return await self._run(lambda: self._matches(known or self._decoy, password))

    def is_outdated(self, known: str) -> bool:
        """Whether `known` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(known)

    def readings(self) -> Iterator[Reading]:
        """What `Metrics` shows of it."""
        help_text = "Passwords that were neither hashed nor verified because too many waited."
        yield Reading("energent_password_hashes_shed", help_text, self._shed)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, known: str, password: str) -> bool:
        try:
            return self._hasher.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._taken >= self._places:
            self._shed += 1
            raise Unavailable("password_queue_full", "Too many sign-ins at once. Try again.")
        job = _Job(work)
        self._taken += 1
        self._waiting.append(job)
        self._pool.submit(self._run_next)
        try:
            return await job.future
        finally:
            self._taken -= 1

    def _run_next(self) -> None:
        """Runs one job in a thread of the pool, and hands over results if no job waits or enough are done."""
        job = self._waiting.popleft()
        job.run()
        self._done.append(job)
        if not self._waiting or len(self._done) >= _TOGETHER:
            job.loop.call_soon_threadsafe(self._hand_over)

    def _hand_over(self) -> None:
        while self._done:
            self._done.popleft().tell()


def _random_hash() -> str:
    """A well-formed hash of no password at all, which takes as long to refuse as a real one."""
    salt, digest = (
        base64.b64encode(os.urandom(size)).decode().rstrip("=") for size in (_SALT_BYTES, _DIGEST_BYTES)
    )
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1${salt}${digest}"
