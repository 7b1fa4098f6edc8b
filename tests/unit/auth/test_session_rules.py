"""What presenting a refresh token means."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from functions.auth.domain.session import (
    ABSOLUTE_LIFETIME,
    GRACE,
    IDLE_LIFETIME,
    Refused,
    Repeated,
    Reused,
    Rotated,
    Session,
    present,
    revoke,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def begun(at: datetime = START) -> Session:
    return Session("ses_1", "usr_1", "energent-app", ("member",), ("usage:read",), at, at, at, ("pwd",))


def rotated(session: Session, times: int) -> Session:
    for _ in range(times):
        outcome = present(session, session.generation, START, None)
        assert isinstance(outcome, Rotated)
        session = outcome.session
    return session


def test_the_newest_token_moves_the_session_on_by_one() -> None:
    """R1"""
    outcome = present(begun(), 1, START + SECOND, None)
    assert isinstance(outcome, Rotated)
    assert (outcome.session.generation, outcome.session.used_at) == (2, START + SECOND)


def test_the_predecessor_is_answered_while_its_successor_is_unused() -> None:
    """R4"""
    moved = rotated(begun(), 1)
    assert present(moved, 1, START + timedelta(hours=1), None) == Repeated(moved, 2)


def test_the_predecessor_of_a_used_token_is_answered_for_thirty_seconds() -> None:
    """R4, R5: counted from its own exchange, not from that of its successor."""
    first = present(begun(), 1, START, None)
    assert isinstance(first, Rotated)
    second = present(first.session, 2, START + 29 * SECOND, None)
    assert isinstance(second, Rotated)
    last = START + GRACE - timedelta(microseconds=1)
    assert present(second.session, 1, last, None) == Repeated(second.session, 2)
    assert isinstance(present(second.session, 1, START + GRACE, None), Reused)


def test_the_grace_is_one_token_deep() -> None:
    """R6: three rotations within the same instant, then the first again."""
    assert isinstance(present(rotated(begun(), 3), 1, START, None), Reused)
    assert present(rotated(begun(), 3), 2, START, None) == Repeated(rotated(begun(), 3), 3)


@pytest.mark.parametrize(("generation", "after"), [(1, timedelta(0)), (1, GRACE), (2, GRACE)])
def test_an_older_token_ends_the_session(generation: int, after: timedelta) -> None:
    """R2, R5"""
    at = START + after
    outcome = present(rotated(begun(), 3), generation, at, None)
    assert isinstance(outcome, Reused)
    assert (outcome.session.revoked_at, outcome.session.revoked_because) == (at, "refresh_token_reused")


@pytest.mark.parametrize("generation", [0, 1, 2, 3, 4, 5])
def test_a_revoked_session_answers_nothing(generation: int) -> None:
    """R2, R7"""
    over = revoke(rotated(begun(), 3), START, "logout")
    assert present(over, generation, START, None) == Refused("revoked")


def test_revoking_twice_keeps_the_first_reason() -> None:
    over = revoke(begun(), START, "logout")
    assert revoke(over, START + SECOND, "other") == over


@pytest.mark.parametrize(
    ("after", "refused"), [(timedelta(0), True), (SECOND, True), (timedelta(microseconds=-1), False)]
)
def test_a_session_that_began_before_the_tenants_floor_is_over(after: timedelta, refused: bool) -> None:
    """R8, T10, T11"""
    outcome = present(begun(), 1, START + timedelta(minutes=1), START + after)
    assert (outcome == Refused("ended_by_tenant")) == refused


def test_an_idle_session_expires() -> None:
    last = START + IDLE_LIFETIME - timedelta(microseconds=1)
    assert isinstance(present(begun(), 1, last, None), Rotated)
    assert present(begun(), 1, START + IDLE_LIFETIME, None) == Refused("expired")


def test_a_session_in_use_expires_thirty_days_after_it_began() -> None:
    """R12"""
    session, at = begun(), START
    while at + timedelta(days=6) < START + ABSOLUTE_LIFETIME:
        at += timedelta(days=6)
        outcome = present(session, session.generation, at, None)
        assert isinstance(outcome, Rotated)
        session = outcome.session
    assert present(session, session.generation, START + ABSOLUTE_LIFETIME, None) == Refused("expired")


def test_a_generation_that_was_never_issued_changes_nothing() -> None:
    assert present(begun(), 2, START, None) == Refused("unknown_generation")


class Life(RuleBasedStateMachine):
    """A session and everybody who holds tokens of it: its owner, who may lose replies, and thieves."""

    def __init__(self) -> None:
        super().__init__()
        self.session = begun()
        self.at = START
        self.floor: datetime | None = None
        self.handed_out = {1}
        self.exchanged_at: dict[int, datetime] = {}
        self.ended = False

    @rule(generation=st.integers(0, 12))
    def a_token_is_presented(self, generation: int) -> None:
        before = self.session
        outcome = present(before, generation, self.at, self.floor)
        newest = max(self.handed_out)
        if isinstance(outcome, Rotated):
            assert generation == newest
            assert not self.ended
            self.handed_out.add(outcome.session.generation)
            self.exchanged_at[generation] = self.at
        if isinstance(outcome, Repeated):
            unused = generation == newest - 1
            assert unused or (generation == newest - 2 and self._is_fresh(generation))
            assert outcome.generation == generation + 1
            assert outcome.session == before
            assert not self.ended
        if isinstance(outcome, Reused):
            assert generation < newest - 2 or (generation == newest - 2 and not self._is_fresh(generation))
            self.ended = True
        if not isinstance(outcome, Refused):
            self.session = outcome.session

    def _is_fresh(self, generation: int) -> bool:
        return self.at < self.exchanged_at[generation] + GRACE

    @rule(seconds=st.one_of(st.integers(0, 40), st.integers(1, 3 * 86_400)))
    def time_passes(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)

    @rule()
    def the_owner_signs_out(self) -> None:
        self.session = revoke(self.session, self.at, "logout")
        self.ended = True

    @precondition(lambda self: self.floor is None)
    @rule()
    def the_tenant_is_suspended(self) -> None:
        self.floor = self.at
        self.ended = True

    @invariant()
    def never_two_generations_move_on(self) -> None:
        outcomes = [present(self.session, each, self.at, self.floor) for each in range(15)]
        moving = [outcome for outcome in outcomes if isinstance(outcome, Rotated)]
        assert len(moving) <= 1
        assert all(outcome.session.generation == max(self.handed_out) + 1 for outcome in moving)

    @invariant()
    def what_is_over_stays_over(self) -> None:
        if self.ended:
            assert all(
                isinstance(present(self.session, each, self.at, self.floor), Refused) for each in range(15)
            )


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
