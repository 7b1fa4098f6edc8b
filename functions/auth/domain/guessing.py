"""Guessing at one factor of one account is slowed down, more and more, and never stopped for good.

Pure rules, for a password as for any other factor: each keeps `Failures` of its own.
"""

from datetime import datetime, timedelta

import msgspec

FREE = 10
"""So many failures in a row cost nothing: nobody mistypes more often."""
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(hours=24)


class Failures(msgspec.Struct, frozen=True):
    """How often in a row it went wrong, and when last. Only tries that were looked at count."""

    count: int = 0
    last_at: datetime | None = None


NONE = Failures()


def delay(count: int) -> timedelta:
    """Nothing for less than 10 failures, then 30 s, which doubles with each further one, up to an hour."""
    if count < FREE:
        return timedelta(0)
    doubled: int = 1 << min(count - FREE, 16)
    return min(FIRST_DELAY * doubled, LONGEST_DELAY)


def may_try(failures: Failures, at: datetime) -> bool:
    """Whether a try is looked at now. One that is not looks like one that is wrong, and changes nothing."""
    return failures.last_at is None or at >= failures.last_at + delay(failures.count)


def failed(failures: Failures, at: datetime) -> Failures:
    """One more; those before count no longer once a day has passed without any."""
    return Failures(1 if is_forgotten(failures, at) else failures.count + 1, at)


def is_forgotten(failures: Failures, at: datetime) -> bool:
    return failures.last_at is None or at >= failures.last_at + FORGOTTEN_AFTER


def begins_to_delay(failures: Failures) -> bool:
    """Whether this failure is the one that somebody should hear of."""
    return failures.count == FREE
