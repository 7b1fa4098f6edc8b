"""Token buckets for a bounded number of keys: a burst at once, then one more in each interval."""

import math
from collections import OrderedDict
from datetime import datetime

import msgspec

from shared.ids import Clock


class Rate(msgspec.Struct, frozen=True):
    """`burst` at once, then one every `seconds`; at most `keys` buckets, of which the least recent goes."""

    burst: int
    seconds: float
    keys: int


class _Bucket(msgspec.Struct):
    left: float
    at: datetime


class Buckets:
    """The buckets of one instance. The effective limit is this one times the number of instances."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str) -> int:
        """Takes one and returns 0. If there is none, returns the seconds until it is worth trying again."""
        bucket = self._filled(key)
        if bucket.left < 1:
            return math.ceil((1 - bucket.left) * self._rate.seconds)
        bucket.left -= 1
        return 0

    def give_back(self, key: str) -> None:
        """Returns one that was taken and shall not count."""
        bucket = self._filled(key)
        bucket.left = min(bucket.left + 1, self._rate.burst)

    def __len__(self) -> int:
        return len(self._buckets)

    def _filled(self, key: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self._rate.burst, now)
            if len(self._buckets) > self._rate.keys:
                self._buckets.popitem(last=False)
        passed = max((now - bucket.at).total_seconds(), 0)
        bucket.left = min(bucket.left + passed / self._rate.seconds, self._rate.burst)
        bucket.at = now
        self._buckets.move_to_end(key)
        return bucket
