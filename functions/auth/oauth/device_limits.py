"""How often a device may poll and a person may guess codes, counted in the memory of one instance.

Nothing is stored, so frequent requests cause no writes. The effective bound is the limit times the number of
instances; a restart forgets.
"""

from collections import OrderedDict
from datetime import datetime, timedelta

import msgspec

from functions.auth.domain.device_code import INTERVAL_SECONDS

REMEMBERED = 10_000
"""Devices, and people; the least recently seen is forgotten first."""
GUESSES = 10
WINDOW = timedelta(minutes=10)


class _Polls(msgspec.Struct, frozen=True):
    last_at: datetime
    interval_seconds: int


class PollPace:
    """Each poll that comes too early adds five seconds to the interval of that device (RFC 8628 §3.5)."""

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
    """After ten wrong user codes of one person in ten minutes, none is looked up until these are over."""

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

    def take_back(self, person: str) -> None:
        """One that was added was right."""
        guesses = self._guesses.get(person)
        if guesses is not None:
            self._guesses[person] = _Guesses(guesses.since, guesses.count - 1)
