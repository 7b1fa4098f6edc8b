"""Whether some ways to be refused can be told apart by how long they take."""

import math
from collections.abc import Mapping, Sequence
from statistics import median


def are_alike(taken: Mapping[str, Sequence[float]], usual: str) -> None:
    """Fails unless each kind takes as long as the `usual` one: medians within 5 %, and a test of ranks finds
    no difference. Seconds by kind, measured in turn.
    """
    expected = median(taken[usual])
    for kind, seconds in taken.items():
        assert abs(median(seconds) / expected - 1) < 0.05, (kind, median(seconds), expected)
        if kind != usual:
            assert rank_p(seconds, taken[usual]) > 0.001, (kind, median(seconds), expected)


def rank_p(one: Sequence[float], other: Sequence[float]) -> float:
    """Mann and Whitney's U, two-sided, by its normal approximation; ties do not happen among these."""
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in other])
    ranks = sum(rank for rank, (_, is_one) in enumerate(ranked, 1) if is_one)
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))
