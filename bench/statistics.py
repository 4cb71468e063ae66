"""Percentiles of one round, and the median and spread over several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 … 1) of all values do not exceed (nearest rank).

    Raises:
        ValueError: there are no values, or ``share`` lies outside 0 … 1.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError("a percentile needs values and a share from 0 to 1")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds gave: their median, and the smallest and largest."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Spread:
        """The spread of one figure over its rounds.

        Raises:
            ValueError: there was no round.
        """
        if not rounds:
            raise ValueError("a spread needs at least one round")
        return cls(median(rounds), min(rounds), max(rounds), len(rounds))


def change(now: float, before: float) -> float | None:
    """How much a figure changed, as a share of what it was; None when it was nothing."""
    return (now - before) / abs(before) if before else None
