"""Pairs that look alike, worked on once: among millions of compared pairs there are some ten thousand kinds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpi.matching.comparison import TRAITS
from mpi.matching.model import Matrix

Places = NDArray[np.int64]

RARITY_STEPS = 8
"""Steps a bit: where pairs are learned from, names as rare to an eighth of a bit make one kind."""

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


def kinds_of(levels: Matrix, *also: NDArray[np.int64]) -> Kinds:
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
