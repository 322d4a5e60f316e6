"""How sure a rate is, and whether two runs of the same tasks differ: exact where counting can be exact."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, fmean

LEVEL = 0.95
RESAMPLES = 2000
SEED = 7
"""Of the resampling, so that a report can be made again."""

Interval = tuple[float, float]


def interval(groups: Sequence[Sequence[bool]]) -> Interval | None:
    """Return the 95 % interval of the mean of the groups' rates; a group holds the repeats of one task.

    Wilson's where nothing was repeated. Repeats of one task are not independent: then the tasks are resampled.
    """
    groups = [group for group in groups if group]
    if not groups:
        return None
    if all(len(group) == 1 for group in groups):
        return _wilson(sum(group[0] for group in groups), len(groups))
    rates = [fmean(group) for group in groups]
    source = random.Random(SEED)  # noqa: S311 resampling is no secret
    means = sorted(fmean(source.choices(rates, k=len(rates))) for _ in range(RESAMPLES))
    cut = round((1 - LEVEL) / 2 * RESAMPLES)
    return means[cut], means[-1 - cut]


def _wilson(right: int, count: int) -> Interval:
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    rate, spread = right / count, z * z / count
    middle = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_p(differences: Sequence[int]) -> float:
    """Return how likely a sum of differences at least as large is when each could as well have the other sign.

    Exact and two-sided; with differences of 1 and -1 it is McNemar's exact test.
    """
    moved = [abs(difference) for difference in differences if difference]
    seen = abs(sum(differences))
    sums = Counter({0: 1})
    for size in moved:
        spread: Counter[int] = Counter()
        for total, ways in sums.items():
            spread[total + size] += ways
            spread[total - size] += ways
        sums = spread
    as_large: int = sum(ways for total, ways in sums.items() if abs(total) >= seen)
    return as_large / (1 << len(moved))
