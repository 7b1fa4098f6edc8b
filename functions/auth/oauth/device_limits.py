"""How fast a device may poll and a person may guess, as far as one instance has seen it.

Nothing of this is written, so nobody can buy writes by asking often. With several instances the bound is the
limit times their number; a restart forgets.
"""

from collections import OrderedDict
from datetime import datetime, timedelta

import msgspec

from functions.auth.domain.device_code import INTERVAL_SECONDS

REMEMBERED = 10_000
"""Devices, and people: the longest unheard of is forgotten first."""
GUESSES = 10
WINDOW = timedelta(minutes=10)


class _Polls(msgspec.Struct, frozen=True):
    last_at: datetime
    interval_seconds: int


class PollPace:
    """Each poll that comes too early makes the interval five seconds longer (RFC 8628 §3.5)."""

    def __init__(self) -> None:
        self._polls: OrderedDict[str, _Polls] = OrderedDict()

    def is_too_early(self, device: str, at: datetime) -> bool:
        before = self._polls.pop(device, None)
        interval = INTERVAL_SECONDS if before is None else before.interval_seconds
        early = before is not None and at < before.last_at + timedelta(seconds=interval)
        self._polls[device] = _Polls(at, interval + INTERVAL_SECONDS if early else interval)
        if len(self._polls) > REMEMBERED:
            self._polls.popitem(last=False)
        return early


class _Guesses(msgspec.Struct, frozen=True):
    since: datetime
    count: int


class GuessLimit:
    """Ten wrong user codes of one person in ten minutes, then none is looked up until these are over."""

    def __init__(self) -> None:
        self._guesses: OrderedDict[str, _Guesses] = OrderedDict()

    def is_reached(self, person: str, at: datetime) -> bool:
        guesses = self._guesses.get(person)
        return guesses is not None and guesses.count >= GUESSES and at < guesses.since + WINDOW

    def add(self, person: str, at: datetime) -> None:
        guesses = self._guesses.pop(person, None)
        if guesses is None or at >= guesses.since + WINDOW:
            guesses = _Guesses(at, 0)
        self._guesses[person] = _Guesses(guesses.since, guesses.count + 1)
        if len(self._guesses) > REMEMBERED:
            self._guesses.popitem(last=False)
