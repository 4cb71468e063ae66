"""The names that pairs of records agree on, by the million: what their rarity is looked up for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mpi.matching.model import (
    FREQUENCY_TRAITS,
    Model,
    Places,
    SharedName,
    Weights,
    shared_value,
)
from mpi.matching.pairs import Coded, numbered
from mpi.matching.record import StandardRecord

_Codes = NDArray[np.int32]

_BITS = 64


@dataclass(frozen=True, slots=True)
class SharedNames:
    """What each of N pairs has in common of one trait."""

    trait: str
    names: tuple[SharedName, ...]
    of: Places  # (N,): which of the names

    def rarities(self, model: Model) -> Weights:
        """Their term-frequency adjustments, whether the trait agrees as a whole or not. Shape (N,)."""
        known = np.array([model.rarity(self.trait, name) for name in self.names])
        found: Weights = known[self.of]
        return found


def shared_names(names: Coded, left: Places, right: Places) -> tuple[SharedNames, ...]:
    """For each frequency trait what :func:`mpi.matching.model.shared_value` answers for each pair of records.

    ``names`` are those of all records, see :attr:`mpi.matching.pairs.Columns.names`. It is asked only where the first
    words differ and some word may be shared, and once for all who have these names.
    """
    numbers = numbered(start=1)
    words = {
        "given": _Words([given for given, _, _ in names.values], numbers),
        "family": _Words([family for _, _, family in names.values], numbers),
    }
    spelled = ("", *numbers)
    one, other = names.codes[left], names.codes[right]
    found = []
    for trait, crossed in (FREQUENCY_TRAITS, FREQUENCY_TRAITS[::-1]):
        first, marks, others = words[trait].first, words[trait].marks, words[crossed].marks
        of = np.where(first[one] == first[other], first[one], 0)
        rest = np.flatnonzero(of == 0)
        lefts, rights = one[rest], other[rest]
        asked = marks[lefts] & (marks[rights] | others[rights]) != 0
        shared, of = _first_words(of, spelled)
        of[rest[asked]] = _asked(trait, names, lefts[asked], rights[asked], shared)
        found.append(SharedNames(trait, tuple(shared), of))
    return tuple(found)


class _Words:
    """The words of one trait, for each of M different names.

    ``first``, shape (M,): the number of the first word, 0 for none. ``marks``, shape (M,): a bit for every word; names
    without a common bit have no word in common.
    """

    def __init__(self, names: Sequence[tuple[str, ...]], numbers: defaultdict[str, int]) -> None:
        """``numbers`` gives every word one, from 1 on."""
        flat = np.fromiter(map(numbers.__getitem__, chain.from_iterable(names)), np.int64)
        lengths = np.fromiter(map(len, names), np.int64, len(names))
        spoken = lengths > 0
        starts = (np.cumsum(lengths) - lengths)[spoken]
        self.first = np.zeros(len(names), np.int64)
        self.marks = np.zeros(len(names), np.uint64)
        self.first[spoken] = flat[starts]
        self.marks[spoken] = np.bitwise_or.reduceat(
            np.uint64(1) << (flat % _BITS).astype(np.uint64), starts
        )


def _first_words(of: Places, spelled: Sequence[str]) -> tuple[dict[SharedName, int], Places]:
    """Words that are told of, by their numbers, as shared names, and what number each has among these; 0: none."""
    told = np.zeros(len(spelled), np.bool_)
    told[of] = told[0] = True
    shared = [SharedName((spelled[number],)) for number in np.flatnonzero(told)[1:].tolist()]
    return {name: number for number, name in enumerate((SharedName(()), *shared))}, (
        np.cumsum(told) - 1
    )[of]


def _asked(
    trait: str, names: Coded, one: _Codes, other: _Codes, shared: dict[SharedName, int]
) -> Places:
    """The numbers in ``shared`` of what pairs of names have in common; what is new is added."""
    pairs = one.astype(np.int64) * len(names.values) + other
    different, places = np.unique(pairs, return_inverse=True)
    lefts, rights = (
        [StandardRecord(*names.values[code]) for code in codes.tolist()]
        for codes in np.divmod(different, max(len(names.values), 1))
    )
    found = (shared_value(trait, a, b) for a, b in zip(lefts, rights, strict=True))
    numbers = [shared.setdefault(name, len(shared)) for name in found]
    return np.array(numbers, dtype=np.int64)[places]
