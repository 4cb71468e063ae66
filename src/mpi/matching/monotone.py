"""Levels in order: a closer agreement never weighs less than a looser one.

Pool adjacent violators (Ayer, Brunk, Ewing, Reid and Silverman 1955).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpi.matching.comparison import TRAIT_INDEX, level_number
from mpi.matching.model import Weights

_NAMES = ("exact", "similar", "close", "loose", "different")
_NUMBERS = ("exact", "one_edit", "two_edits", "different")
_ORDERS: dict[str, tuple[str, ...]] = {
    "given": _NAMES,
    "middle": ("exact", "initial", "different"),
    "family": _NAMES,
    "suffix": ("same", "one_silent", "conflict"),
    "dob": _NUMBERS,
    "sex": ("same", "different"),
    "ssn": _NUMBERS,
    "national_id": _NUMBERS,
    "address": ("exact", "street", "different"),
    "locality": ("zip", "city", "state", "different"),
    "phone": ("exact", "one_edit", "different"),
    "email": ("exact", "similar", "different"),
    "identifier": ("exact", "conflict"),
    "birth_order": ("same", "flag_differs", "conflict"),
    "mothers_maiden_name": ("exact", "similar", "different"),
    "deceased": ("same", "different"),
}

CHAINS: tuple[tuple[int, tuple[int, ...]], ...] = tuple(
    (TRAIT_INDEX[trait], tuple(level_number(trait, level) for level in levels))
    for trait, levels in _ORDERS.items()
)
"""Per trait the numbers of levels from the closest agreement to none. Other levels have no order of their own: that
a name is a nickname says another thing than that it is misspelt."""


def ordered(
    values: Sequence[float],
    lowest: Sequence[float] | None = None,
    highest: Sequence[float] | None = None,
) -> list[float]:
    """The nearest values, by least squares, that never rise and lie within bounds that never rise."""
    lows = lowest if lowest is not None else [-math.inf] * len(values)
    highs = highest if highest is not None else [math.inf] * len(values)
    pools: list[_Pool] = []
    for value, low, high in zip(values, lows, highs, strict=True):
        pool = _Pool(value, 1, low, high)
        while pools and pools[-1].level < pool.level:
            pool = pools.pop().joined(pool)
        pools.append(pool)
    return [pool.level for pool in pools for _ in range(pool.count)]


@dataclass(frozen=True, slots=True)
class _Pool:
    """Neighbours that share one value: their sum, and the bounds that all of them keep."""

    total: float
    count: int
    low: float
    high: float

    @property
    def level(self) -> float:
        return min(max(self.total / self.count, self.low), self.high)

    def joined(self, other: _Pool) -> _Pool:
        return _Pool(
            self.total + other.total,
            self.count + other.count,
            max(self.low, other.low),
            min(self.high, other.high),
        )


def in_order(weights: Weights) -> Weights:
    """Weights [trait, level] whose chains are ordered; a new array."""
    found = weights.copy()
    for row, levels in CHAINS:
        found[row, levels] = ordered(found[row, levels].tolist())
    return found


def bounds_in_order(lowest: Weights, highest: Weights) -> tuple[Weights, Weights]:
    """Bounds [trait, level] that never rise along a chain and let the same ordered chains through."""
    lowest, highest = lowest.copy(), highest.copy()
    for row, levels in CHAINS:
        places = list(levels)
        highest[row, places] = np.minimum.accumulate(highest[row, places])
        lowest[row, places] = np.maximum.accumulate(lowest[row, places][::-1])[::-1]
    return np.minimum(lowest, highest), highest
