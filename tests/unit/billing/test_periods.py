"""Calendar months in UTC, half open; days; quarter-hours; the window in which usage is taken."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from functions.billing.domain import metering, periods
from functions.billing.domain.metering import Refused, Use
from functions.billing.domain.periods import Period

MARCH = Period("2026-03")
INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "2026-3", "202603", "2026-03 ", "1999-12", "", "٢٠٢٦-03"]
)
def test_a_period_is_written_in_one_way(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM"):
        periods.parse(text)


@pytest.mark.parametrize(
    "text", ["2026-02-29", "2026-1-01", "20260101", "2026-W01-1", "2026-01-01T00:00", ""]
)
def test_a_day_is_written_in_one_way(text: str) -> None:
    with pytest.raises(ValueError, match="day"):
        periods.parse_day(text)


def test_the_first_instant_is_inside_and_the_last_boundary_is_not() -> None:
    """B7"""
    assert periods.of(periods.start(MARCH)) == MARCH
    assert periods.of(periods.start(MARCH) - INSTANT) == "2026-02"
    assert periods.of(periods.end(MARCH) - INSTANT) == MARCH
    assert periods.of(periods.end(MARCH)) == "2026-04"


@pytest.mark.parametrize(
    ("period", "last"),
    [
        ("2024-02", "2024-02-29"),
        ("2025-02", "2025-02-28"),
        ("2026-12", "2026-12-31"),
        ("2026-04", "2026-04-30"),
    ],
)
def test_months_end_where_the_calendar_says(period: str, last: str) -> None:
    """B7"""
    assert (periods.end(Period(period)) - INSTANT).date().isoformat() == last


def test_the_zone_of_a_time_does_not_move_the_boundary() -> None:
    """B7: across a change to summer time too."""
    tokyo = timezone(timedelta(hours=9))
    assert periods.of(datetime(2026, 4, 1, 8, 59, 59, tzinfo=tokyo)) == MARCH
    assert periods.of(datetime(2026, 4, 1, 9, 0, tzinfo=tokyo)) == "2026-04"
    assert periods.end(MARCH) - periods.start(MARCH) == timedelta(days=31)


def test_periods_follow_each_other_across_years() -> None:
    assert periods.following(Period("2025-12")) == "2026-01"
    assert periods.previous(Period("2026-01")) == "2025-12"
    assert list(periods.span(Period("2025-11"), Period("2026-02"))) == [
        "2025-11",
        "2025-12",
        "2026-01",
        "2026-02",
    ]
    assert list(periods.span(MARCH, Period("2026-02"))) == []
    assert periods.first_day(MARCH) == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("time", "quarter"), [("00:00", 0), ("00:14:59.999999", 0), ("00:15", 1), ("12:00", 48), ("23:59:59", 95)]
)
def test_quarter_hours_are_half_open(time: str, quarter: int) -> None:
    assert metering.quarter(datetime.fromisoformat(f"2026-03-15T{time}+00:00")) == quarter


def test_an_event_counts_on_its_utc_day() -> None:
    """B7"""
    time = datetime(2026, 4, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    use = metering.accept(
        "s", "i", "m", 1, time.isoformat(), meters={"m"}, now=datetime(2026, 4, 1, tzinfo=UTC)
    )
    assert metering.counter(use) == metering.Counter("m", "2026-03-31")
    assert use == Use("s", "i", "m", 1_000_000, datetime(2026, 3, 31, 23, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("age", "is_in"),
    [
        (timedelta(days=92), True),
        (timedelta(days=92) + INSTANT, False),
        (-timedelta(minutes=5), True),
        (-timedelta(minutes=5) - INSTANT, False),
    ],
)
def test_the_window_is_92_days_back_and_5_minutes_ahead(age: timedelta, is_in: bool) -> None:
    """B8, P17"""
    now = datetime(2026, 3, 15, tzinfo=UTC)
    try:
        metering.accept("s", "i", "m", 1, (now - age).isoformat(), meters={"m"}, now=now)
    except Refused:
        assert not is_in
    else:
        assert is_in
