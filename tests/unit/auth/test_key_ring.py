"""The rules of a key ring: any order, any delay, any number of processes, one result."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.auth.domain import key_ring
from functions.auth.domain.key_ring import Change, KeyRing, Pace, RingKey
from functions.auth.keyring.key_rings import FOLLOWED, GATEWAY_CACHE, PACES, SIGNING_RING
from shared.access_token import MAX_LIFETIME_SECONDS
from shared.errors import Conflict, NotFound
from tests.tokens import NOW

PACE = PACES[SIGNING_RING]
FOR_EVER = Pace(PACE.pending, None, PACE.active)


def key(number: int, at: datetime = NOW) -> RingKey:
    return RingKey(kid=f"k{number}", state="pending", secret_version=number, created_at=at)


def states(ring: KeyRing) -> dict[str, str]:
    return {each.kid: each.state for each in ring.keys}


def rotating() -> KeyRing:
    """k1 signs, k2 was published just now."""
    ring = key_ring.begin(key_ring.first(key(1)), key(2))
    return key_ring.publish(ring, {"k1", "k2"}, PACE, NOW)


def test_a_key_is_published_for_longer_than_everybody_takes_to_know_it() -> None:
    """S3, J34: ten minutes at least, and no process is further behind than the store may be out."""
    assert min(pace.pending for pace in PACES.values()) >= max(timedelta(minutes=10), FOLLOWED.stale)
    assert PACE.pending >= 2 * GATEWAY_CACHE
    ring = rotating()
    almost = NOW + PACE.pending - timedelta(seconds=1)
    assert key_ring.activate(ring, PACE, almost) == ring
    assert states(key_ring.activate(ring, PACE, NOW + PACE.pending)) == {"k1": "retiring", "k2": "active"}


def test_a_key_that_is_not_known_to_be_published_never_signs() -> None:
    ring = key_ring.begin(key_ring.first(key(1)), key(2))
    assert key_ring.publish(ring, {"k1"}, PACE, NOW) == ring
    assert key_ring.activate(ring, PACE, NOW + timedelta(days=400)) == ring


def test_a_key_that_retired_stays_until_its_last_token_is_dead() -> None:
    """J9."""
    at = NOW + PACE.pending
    ring = key_ring.activate(rotating(), PACE, at)
    (retiring,) = (each for each in ring.keys if each.state == "retiring")
    last_token = at + FOLLOWED.stale + timedelta(seconds=MAX_LIFETIME_SECONDS)
    assert retiring.removes_at is not None
    assert retiring.removes_at > last_token + 2 * GATEWAY_CACHE
    assert key_ring.expire(ring, retiring.removes_at - timedelta(seconds=1)) == ring
    gone = key_ring.expire(ring, retiring.removes_at)
    assert states(gone) == {"k2": "active"}
    assert [each.kid for each in gone.removed] == ["k1"]


def test_where_keys_are_kept_for_ever_none_goes_by_itself() -> None:
    ring = key_ring.activate(rotating(), FOR_EVER, NOW + PACE.pending)
    assert states(key_ring.expire(ring, NOW + timedelta(days=40_000))) == {"k1": "retiring", "k2": "active"}


def test_a_second_rotation_does_not_begin_beside_a_first() -> None:
    with pytest.raises(Conflict):
        key_ring.begin(rotating(), key(3))
    assert key_ring.rotates_at(rotating(), PACE) is None
    assert key_ring.rotates_at(key_ring.first(key(1)), PACE) == NOW + PACE.active


@pytest.mark.parametrize(
    ("asked_after", "is_again"),
    [(timedelta(days=-1), True), (timedelta(minutes=59), True), (timedelta(hours=1), False)],
)
def test_a_rotation_that_was_asked_for_before_the_newest_key_was_made_is_that_one(
    asked_after: timedelta, is_again: bool
) -> None:
    assert key_ring.is_asked_again(key_ring.first(key(1)), NOW + asked_after) is is_again


def test_removing_the_active_key_makes_the_pending_one_active_at_once() -> None:
    """S8."""
    ring = rotating()
    assert not key_ring.needs_successor(ring, "k1")
    after = key_ring.remove(ring, "k1", NOW)
    assert states(after) == {"k2": "active"}
    assert key_ring.changes(ring, after) == [Change("k2", "activate"), Change("k1", "remove")]


def test_removing_the_only_key_takes_a_successor() -> None:
    """S8."""
    ring = key_ring.first(key(1))
    assert key_ring.needs_successor(ring, "k1")
    with pytest.raises(ValueError, match="nothing can follow"):
        key_ring.remove(ring, "k1", NOW)
    after = key_ring.remove(ring, "k1", NOW, key(2))
    assert states(after) == {"k2": "active"}
    assert [change.step for change in key_ring.changes(ring, after)] == ["create", "activate", "remove"]


@pytest.mark.parametrize("removed", ["k1", "k3"])
def test_removing_another_key_leaves_the_active_one(removed: str) -> None:
    ring = key_ring.activate(rotating(), PACE, NOW + PACE.pending)
    ring = key_ring.begin(ring, key(3))
    after = key_ring.remove(ring, removed, NOW)
    assert after.active == ring.active
    assert removed not in states(after)


def test_an_unknown_key_cannot_be_removed() -> None:
    with pytest.raises(NotFound):
        key_ring.remove(rotating(), "k9", NOW)


Move = Callable[[KeyRing, datetime], KeyRing]

MOVES: dict[str, Move] = {
    "publish": lambda ring, now: key_ring.publish(ring, {each.kid for each in ring.keys}, PACE, now),
    "activate": lambda ring, now: key_ring.activate(ring, PACE, now),
    "expire": key_ring.expire,
}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "remove", "destroy", *MOVES]),
            st.integers(0, 40 * 60),
            st.integers(0, 2),
        ),
        max_size=40,
    )
)
def test_whatever_happens_one_key_is_active_and_each_was_known_in_time(
    moves: list[tuple[str, int, int]],
) -> None:
    """And to do a thing twice is to do it once."""
    ring, now, made, removed_active = key_ring.first(key(1)), NOW, 1, False
    published: dict[str, datetime] = {}
    for move, seconds, which in moves:
        now += timedelta(seconds=seconds)
        before = ring
        if move == "begin" and ring.pending is None:
            made += 1
            ring = key_ring.begin(ring, key(made, now))
        elif move == "remove" and which < len(ring.keys):
            made += 1
            gone = ring.keys[which]
            removed_active = removed_active or gone.state == "active"
            ring = key_ring.remove(ring, gone.kid, now, key(made, now))
        elif move == "destroy":
            ring = key_ring.destroyed(ring, {each.kid for each in ring.removed})
        elif move in MOVES:
            ring = MOVES[move](ring, now)
            assert MOVES[move](ring, now) == ring
            published |= {
                change.kid: now for change in key_ring.changes(before, ring) if change.step == "publish"
            }
        assert [each.state for each in ring.keys].count("active") == 1
        assert [each.state for each in ring.keys].count("pending") <= 1
        assert len(states(ring)) == len(ring.keys)
        assert (key_ring.changes(before, ring) == []) is (before == ring)
        active = ring.active
        if active != before.active and not removed_active:
            assert active is not None
            assert now >= published[active.kid] + PACE.pending
