"""The names that pairs of records agree on, by the million: what their rarity is looked up for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from operator import or_

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
from mpi.matching.pairs import Coded
from mpi.matching.record import StandardRecord

_Codes = NDArray[np.int32]
_Marks = NDArray[np.uint64]

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
    words = {
        "given": [given for given, _, _ in names.values],
        "family": [family for _, _, family in names.values],
    }
    # A bit for each word: names without a common bit have no word in common.
    known = dict.fromkeys(chain.from_iterable(chain(*words.values())))
    bits = {word: 1 << number % _BITS for number, word in enumerate(known)}
    marks = {trait: _marks(own, bits) for trait, own in words.items()}
    one, other = names.codes[left], names.codes[right]
    found = []
    for trait, crossed in (FREQUENCY_TRAITS, FREQUENCY_TRAITS[::-1]):
        shared, first = _first_words(words[trait])
        of = np.where(first[one] == first[other], first[one], 0)
        common = marks[trait][one] & (marks[trait][other] | marks[crossed][other])
        asked = np.flatnonzero((of == 0) & (common != 0))
        of[asked] = _asked(trait, names, one[asked], other[asked], shared)
        found.append(SharedNames(trait, tuple(shared), of))
    return tuple(found)


def _first_words(names: Sequence[tuple[str, ...]]) -> tuple[dict[SharedName, int], Places]:
    """A number for each first word, 0 for none, and that of every name."""
    shared = {SharedName(()): 0}
    numbers = {
        own: shared.setdefault(SharedName(own), len(shared)) for own in {n[:1] for n in names}
    }
    return shared, np.array([numbers[own[:1]] for own in names], dtype=np.int64)


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


def _marks(names: Sequence[tuple[str, ...]], bits: Mapping[str, int]) -> _Marks:
    """The bits of all words of each name."""
    return np.array([reduce(or_, map(bits.__getitem__, name), 0) for name in names], np.uint64)
