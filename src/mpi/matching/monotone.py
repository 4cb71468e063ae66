"""Levels in order: a closer agreement never weighs less than a looser one.

Pool adjacent violators (Ayer, Brunk, Ewing, Reid and Silverman 1955).
"""

from __future__ import annotations

from collections.abc import Sequence

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


def ordered(values: Sequence[float]) -> list[float]:
    """The nearest values, by least squares, that never rise."""
    pools: list[tuple[float, int]] = []
    for value in values:
        total, count = value, 1
        while pools and pools[-1][0] / pools[-1][1] < total / count:
            before, members = pools.pop()
            total, count = total + before, count + members
        pools.append((total, count))
    return [total / count for total, count in pools for _ in range(count)]


def in_order(weights: Weights) -> Weights:
    """Weights [trait, level] whose chains are ordered; a new array."""
    found = weights.copy()
    for row, levels in CHAINS:
        found[row, levels] = ordered(found[row, levels].tolist())
    return found


def bounds_in_order(lowest: Weights, highest: Weights) -> tuple[Weights, Weights]:
    """Bounds [trait, level] that an ordered chain can meet: what a looser level may weigh, a closer one may as well.

    Clipping an ordered chain to such bounds leaves it ordered, and nearest to what it was.
    """
    lowest, highest = lowest.copy(), highest.copy()
    for row, levels in CHAINS:
        places = list(levels)
        highest[row, places] = np.minimum.accumulate(highest[row, places])
        lowest[row, places] = np.maximum.accumulate(lowest[row, places][::-1])[::-1]
    return np.minimum(lowest, highest), highest
