"""Seeded chance: cheap scalar draws, and weighted tables to draw from.

``random.Random.random`` is the one stream the standard library promises to keep from version to
version, so every draw here is made of it alone: a seed names the same population for ever.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

HOUSEHOLD, ARRIVAL, BUILDING = 0, 1, 2
"""Stages: what a stream of chance is for."""


class Draw(Random):
    """A stream of chance. Streams of different ``(seed, index, stage)`` are independent."""

    @classmethod
    def of(cls, seed: int, index: int, stage: int) -> Draw:
        """The stream for one ``stage`` (0-7) of making item ``index`` (below 2**45)."""
        return cls((seed << 48) | (index << 3) | stage)

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def below(self, limit: int) -> int:
        """A whole number from 0 to ``limit - 1``."""
        return int(self.random() * limit)

    def between(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included; ``low`` when they cross."""
        return low + int(self.random() * (high - low + 1)) if high > low else low

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.random() * len(items))]


class Weighted(Generic[T]):
    """Items that are drawn in proportion to their weights."""

    __slots__ = ("_cumulative", "_total", "items")

    def __init__(self, weighted: Iterable[tuple[T, float]]) -> None:
        pairs = list(weighted)
        self.items = tuple(item for item, _ in pairs)
        self._cumulative = list(accumulate(weight for _, weight in pairs))
        self._total = self._cumulative[-1]

    def draw(self, draw: Draw) -> T:
        return self.items[bisect_right(self._cumulative, draw.random() * self._total)]
