"""Billing periods: calendar months in UTC, half open, written `YYYY-MM`; text order is time order."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import NewType

Period = NewType("Period", str)

_MONTH = re.compile(r"(2[0-9]{3})-(0[1-9]|1[0-2])", re.ASCII)
_DAY = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}", re.ASCII)


def parse(text: str) -> Period:
    """ValueError for anything but `YYYY-MM` of the years 2000 to 2999."""
    if _MONTH.fullmatch(text) is None:
        raise ValueError("a period is written YYYY-MM")
    return Period(text)


def parse_day(text: str) -> date:
    """ValueError for anything but a day `YYYY-MM-DD` of the years 2000 to 2999."""
    if _DAY.fullmatch(text) is None:
        raise ValueError("a day is written YYYY-MM-DD")
    return date.fromisoformat(text)


def of(at: datetime) -> Period:
    """The period an aware instant lies in."""
    return _of_day(at.astimezone(UTC).date())


def following(period: Period) -> Period:
    year, month = _numbers(period)
    return _period(year + month // 12, month % 12 + 1)


def previous(period: Period) -> Period:
    year, month = _numbers(period)
    return _period(year, month - 1) if month > 1 else _period(year - 1, 12)


def first_day(period: Period) -> date:
    return date(*_numbers(period), 1)


def start(period: Period) -> datetime:
    """The first instant of the period."""
    return datetime(*_numbers(period), 1, tzinfo=UTC)


def end(period: Period) -> datetime:
    """The first instant after the period."""
    return start(following(period))


def of_day(day: str) -> Period:
    """The period of a UTC day `YYYY-MM-DD`."""
    return Period(day[:7])


def span(first: Period, last: Period) -> Iterator[Period]:
    """Each period from `first` to `last`, both included."""
    period = first
    while period <= last:
        yield period
        period = following(period)


def _of_day(day: date) -> Period:
    return _period(day.year, day.month)


def _period(year: int, month: int) -> Period:
    return Period(f"{year:04d}-{month:02d}")


def _numbers(period: Period) -> tuple[int, int]:
    return int(period[:4]), int(period[5:])
