"""Reading, deciding and committing again while somebody else is faster."""

import pytest

from shared.errors import Unavailable
from shared.store import AlreadyExists, Key, Stale, until_not_stale

pytestmark = pytest.mark.anyio


class Attempt:
    def __init__(self, *outcomes: Exception | int) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_it_answers_with_the_first_attempt_that_is_not_stale() -> None:
    attempt = Attempt(Stale(), Stale(), 7, 8)
    assert await until_not_stale(attempt) == 7
    assert attempt.calls == 3


async def test_any_other_refusal_ends_it_at_once() -> None:
    attempt = Attempt(AlreadyExists(Key("things/x")), 7)
    with pytest.raises(AlreadyExists):
        await until_not_stale(attempt)
    assert attempt.calls == 1


async def test_after_30_tries_the_store_counts_as_too_busy() -> None:
    attempt = Attempt(*(Stale() for _ in range(30)), 7)
    with pytest.raises(Unavailable) as refusal:
        await until_not_stale(attempt)
    assert refusal.value.code == "contention"
    assert attempt.calls == 30
