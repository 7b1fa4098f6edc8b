"""Growing delays against guessing at one factor of one account; nobody is ever locked out for good.

The same rules hold for passwords and other factors: each has `Failures` of its own.
"""

from datetime import datetime, timedelta

import msgspec

FREE = 10
"""This many failures in a row cause no delay: nobody mistypes more often."""
FIRST_DELAY = timedelta(seconds=30)
LONGEST_DELAY = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(hours=24)


class Failures(msgspec.Struct, frozen=True):
    """The number of failures in a row, and the time of the last. Tries during a delay do not count."""

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
    """Whether a try is checked now. One that is not gets the answer of a wrong one, and changes nothing."""
    return failures.last_at is None or at >= failures.last_at + delay(failures.count)


def failed(failures: Failures, at: datetime) -> Failures:
    """One more failure. Earlier ones no longer count after a day without any."""
    return Failures(1 if is_forgotten(failures, at) else failures.count + 1, at)


def is_forgotten(failures: Failures, at: datetime) -> bool:
    return failures.last_at is None or at >= failures.last_at + FORGOTTEN_AFTER


def begins_to_delay(failures: Failures) -> bool:
    """Whether this failure is the first to cause a delay, which is worth an event."""
    return failures.count == FREE
