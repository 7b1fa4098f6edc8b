"""The pool of hashes: what waits is answered in one turn of the loop, and each gets its own answer."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from functions.auth.sign_in.passwords import Passwords

pytestmark = pytest.mark.anyio


class Stepped(Passwords):
    """One worker. Each hash takes a permit, and costs nothing; `broken` fails, `right` is right."""

    def __init__(self) -> None:
        super().__init__(workers=1, waiting=100)
        self.begun = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.hashed: list[str] = []

    def _matches(self, known: str, password: str) -> bool:
        self.begun.release()
        self.permits.acquire()
        self.hashed.append(password)
        self.ended.release()
        if password == "broken":
            raise MemoryError
        return password == "right"

    async def step(self, hashes: int) -> None:
        """So many more hashes, and time for the loop to hear of them."""
        self.permits.release(hashes)
        for _ in range(hashes):
            assert await asyncio.to_thread(self.ended.acquire, timeout=10)
        await asyncio.sleep(0.02)


@pytest.fixture
def pool() -> Iterator[Stepped]:
    stepped = Stepped()
    yield stepped
    stepped.permits.release(100)
    stepped.close()


async def asked(pool: Stepped, *passwords: str) -> list[asyncio.Task[bool]]:
    """In this order."""
    tasks = [asyncio.create_task(pool.verify("known", password)) for password in passwords]
    await asyncio.sleep(0)
    return tasks


def answered(tasks: list[asyncio.Task[bool]]) -> int:
    return sum(task.done() for task in tasks)


async def test_while_more_wait_eight_are_answered_together(pool: Stepped) -> None:
    tasks = await asked(pool, *["wrong"] * 19, "right")
    for hashes, known in ((7, 0), (1, 8), (7, 8), (1, 16), (3, 16), (1, 20)):
        await pool.step(hashes)
        assert answered(tasks) == known
    assert [await task for task in tasks] == [False] * 19 + [True]


async def test_nobody_waits_for_hashes_that_nobody_has_asked_for(pool: Stepped) -> None:
    for _ in range(3):
        tasks = await asked(pool, "right")
        await pool.step(1)
        assert answered(tasks) == 1


async def test_a_hash_that_fails_is_its_own_callers_failure(pool: Stepped) -> None:
    tasks = await asked(pool, "right", "broken", "wrong")
    await pool.step(3)
    right, broken, wrong = await asyncio.gather(*tasks, return_exceptions=True)
    assert (right, wrong) == (True, False)
    assert isinstance(broken, MemoryError)


async def test_nothing_is_hashed_for_who_has_gone(pool: Stepped) -> None:
    tasks = await asked(pool, "right", "gone", "gone too", "wrong")
    tasks[1].cancel()
    tasks[2].cancel()
    await asyncio.sleep(0)
    await pool.step(2)
    assert pool.hashed == ["right", "wrong"]
    assert (await tasks[0], await tasks[3]) == (True, False)


async def test_who_goes_while_hashing_leaves_the_others_their_answers(pool: Stepped) -> None:
    tasks = await asked(pool, "right", "wrong")
    assert await asyncio.to_thread(pool.begun.acquire, timeout=10)
    tasks[0].cancel()
    await pool.step(2)
    assert tasks[0].cancelled()
    assert await tasks[1] is False
