"""How well weights tell pairs of one person from all others, whatever threshold is chosen.

*Recall at precision p* is the largest share of the true pairs that some threshold finds while at least p of what it
finds is true: the share of links that may be made without asking anybody. The calibration error is that of Naeini,
Cooper and Hauskrecht (2015), over bins of equal width of the probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]

BINS = 10
LOWEST, HIGHEST = 0.01, 0.99
"""Where a probability is doubtful: the range over which the calibration error is taken."""


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What linking every pair of at least this weight would give. ``false`` pairs are of different people."""

    threshold: float
    linked: int
    false: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs whose probability lies in ``low`` … ``high``: how many, their mean, and the share that is true."""

    low: float
    high: float
    pairs: int
    expected: float
    observed: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether a probability of p comes true p of the time. None: no pair has such a probability."""

    bins: tuple[Bin, ...]
    error: float | None  # over LOWEST < p < HIGHEST
    sure_pairs: int  # p >= HIGHEST
    sure_observed: float | None


class PairScores:
    """Pairs by falling weight. ``total`` true pairs exist, compared or not.

    Raises:
        ValueError: there are no true pairs, or less than were compared.
    """

    def __init__(self, weights: Numbers, same: Flags, total: int) -> None:
        if total < 1 or int(same.sum()) > total:
            raise ValueError("a judgement needs true pairs, and not less than were compared")
        order = np.argsort(-weights, kind="stable")
        self._weights, self._same = weights[order], same[order]
        # Only the last of equal weights can be the last pair that a threshold lets through.
        last = np.append(self._weights[1:] != self._weights[:-1], True)[: len(weights)]
        self._steps = self._weights[last]
        self._true = np.cumsum(self._same)[last]
        self._linked = (np.arange(len(weights)) + 1)[last]
        self.total = total

    @property
    def pairs(self) -> int:
        """How many pairs were compared."""
        return len(self._weights)

    @property
    def completeness(self) -> float:
        """Share of the true pairs that were compared at all."""
        return float(self._same.sum() / self.total)

    def recall_at(self, precision: float) -> float:
        """The largest recall at which the precision is at least that."""
        good = np.flatnonzero(self._true >= precision * self._linked)
        return float(self._true[good[-1]] / self.total) if len(good) else 0.0

    def best(self) -> AtThreshold:
        """The threshold of the best F1; an oracle's choice. Infinite where no pair was compared."""
        if not len(self._steps):
            return self.at(math.inf)
        f1 = 2 * self._true / (self._linked + self.total)
        return self.at(float(self._steps[int(np.argmax(f1))]))

    def at(self, threshold: float) -> AtThreshold:
        """What one threshold gives."""
        linked = int((self._weights >= threshold).sum())
        true = int(self._same[:linked].sum())
        return AtThreshold(
            threshold, linked, linked - true, true / linked if linked else 1.0, true / self.total
        )

    def table(self, thresholds: Sequence[float]) -> tuple[AtThreshold, ...]:
        """What each of several thresholds gives."""
        return tuple(self.at(threshold) for threshold in thresholds)

    def histogram(self, edges: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs of one person, and of different people, by weight; what lies outside counts at the edges."""
        inside = np.clip(self._weights, edges[0], edges[-1])
        same, other = (np.histogram(inside[which], edges)[0] for which in (self._same, ~self._same))
        return same, other


def calibration(probabilities: Numbers, same: Flags) -> Calibration:
    """Compare probabilities (0 … 1) with what is true."""
    number = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    edges = np.linspace(0, 1, BINS + 1)
    bins = tuple(
        Bin(float(edges[n]), float(edges[n + 1]), int(inside.sum()),
            float(probabilities[inside].mean()), float(same[inside].mean()))
        for n in range(BINS)
        if (inside := number == n).any()
    )  # fmt: skip
    doubtful = (probabilities > LOWEST) & (probabilities < HIGHEST)
    sure = probabilities >= HIGHEST
    return Calibration(
        bins=bins,
        error=_error(probabilities[doubtful], same[doubtful], number[doubtful]),
        sure_pairs=int(sure.sum()),
        sure_observed=float(same[sure].mean()) if sure.any() else None,
    )


def _error(probabilities: Numbers, same: Flags, number: NDArray[np.int64]) -> float | None:
    if not len(probabilities):
        return None
    gaps = np.bincount(number, weights=probabilities - same, minlength=BINS)
    return float(np.abs(gaps).sum() / len(probabilities))
