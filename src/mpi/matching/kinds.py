"""Pairs that look alike, worked on once.

Three million compared pairs of a million records have 60,000 different comparison vectors; a small set has fewer pairs
of a kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpi.matching.comparison import TRAITS
from mpi.matching.model import Matrix, Places, Weights

_RARITY_STEPS = 8  # per bit
_LEVELS = [len(trait.levels) for trait in TRAITS]


@dataclass(frozen=True, slots=True)
class Kinds:
    """The K kinds of N pairs."""

    first: Places  # (K,): the first pair of each kind
    of: Places  # (N,): the kind of each pair

    @property
    def counts(self) -> Places:
        """How many pairs there are of each kind. Shape (K,)."""
        return np.bincount(self.of, minlength=len(self.first))


def kinds_of(levels: Matrix, *also: Places) -> Kinds:
    """Tell apart pairs by their comparison vectors, shape (N, T), and by whatever whole numbers are given ``also``.

    All are put into one number of 64 bits, of which the vectors take forty: sorting rows would take ten times as long.

    Raises:
        OverflowError: the numbers that are given also are too far apart.
    """
    numbers, most = np.zeros(len(levels), np.int64), 1
    for column, size in enumerate(_LEVELS):
        numbers, most = numbers * size + levels[:, column], most * size
    for values in also if len(levels) else ():
        lowest = int(values.min())
        size = int(values.max()) - lowest + 1
        numbers, most = numbers * size + (values - lowest), most * size
    if most > np.iinfo(np.int64).max:
        raise OverflowError("pairs that differ in so much cannot be told apart")
    _, first, of = np.unique(numbers, return_index=True, return_inverse=True)
    return Kinds(first, of)


def learned_from(levels: Matrix, rarities: Weights, *also: Places) -> tuple[Kinds, Weights]:
    """As :func:`kinds_of`, and how rare the names of each are, (K,): what is as rare to an eighth of a bit is alike."""
    steps = np.round(rarities * _RARITY_STEPS).astype(np.int64)
    kinds = kinds_of(levels, steps, *also)
    return kinds, steps[kinds.first] / _RARITY_STEPS
