"""Times in bodies: of one length, in UTC, so that text order is time order."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.store.bodies import from_body, stamp, to_body

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-9))])
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001 - `timezones` follow
SECONDS = TIMES.map(lambda at: at.replace(microsecond=0))


class Item(msgspec.Struct, frozen=True):
    at: datetime


class Basket(msgspec.Struct, frozen=True):
    name: str
    full: bool
    items: tuple[Item, ...]
    by_name: dict[str, Item]
    ends: datetime | None = None


@given(TIMES | SECONDS, TIMES | SECONDS)
def test_stamps_sort_as_their_times_do(one: datetime, other: datetime) -> None:
    assert (stamp(one) < stamp(other)) == (one < other)
    assert len(stamp(one)) == len("2026-11-23T00:00:00.000000Z")
    assert datetime.fromisoformat(stamp(one)) == one


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 11, 23, 1, 2, 3, 4, UTC), "2026-11-23T01:02:03.000004Z"),
        (datetime(2026, 11, 23, 1, 2, 3, 0, UTC), "2026-11-23T01:02:03.000000Z"),
        (datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "2025-12-31T23:00:00.000000Z"),
        (datetime(33, 4, 3, 15, tzinfo=UTC), "0033-04-03T15:00:00.000000Z"),
    ],
)
def test_stored_stamps_never_change(at: datetime, text: str) -> None:
    """Documents are found and sorted by them for ever."""
    assert stamp(at) == text


def test_times_are_stamped_at_any_depth() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    basket = Basket("fruit", True, (Item(at),), {"pear": Item(at)}, at)
    body = to_body(basket)
    assert body == {
        "name": "fruit",
        "full": True,
        "items": [{"at": stamp(at)}],
        "by_name": {"pear": {"at": stamp(at)}},
        "ends": stamp(at),
    }
    assert from_body(body, Basket) == basket
