"""The names that pairs of records agree on, by the million: what their rarity is looked up for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from mpi.matching.coding import Coded, Codes, numbered
from mpi.matching.model import (
    FREQUENCY_TRAITS,
    Flags,
    Model,
    Places,
    SharedName,
    Weights,
    shared_words,
)

_BITS = 64
_PLACES = {"given": 0, "family": 2}
"""Where the names of a trait stand among given, middle and family name."""


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


class Names:
    """The given and family names of all records, ready to be looked up for any pairs of them."""

    def __init__(self, names: Coded) -> None:
        """``names`` are given, middle and family name of every record."""
        self._names = names
        numbers = numbered(start=1)
        self._words = {
            trait: _Words([name[place] for name in names.values], numbers)
            for trait, place in _PLACES.items()
        }
        self._spelled = ("", *numbers)

    def one_unnamed(self, left: Places, right: Places) -> Flags:
        """Of which pairs of records one, and one only, has a given name. Shape (N,)."""
        named = np.fromiter((bool(name[0]) for name in self._names.values), np.bool_)
        found: Flags = named[self._names.codes.take(left)] != named[self._names.codes.take(right)]
        return found

    def shared(self, left: Places, right: Places) -> tuple[SharedNames, ...]:
        """For each frequency trait what :func:`mpi.matching.model.shared_value` answers for each pair of records.

        It is asked only where the first words differ and some word may be shared, and once for all who
        have these names.
        """
        one, other = self._names.codes.take(left), self._names.codes.take(right)
        crossings = (FREQUENCY_TRAITS, FREQUENCY_TRAITS[::-1])
        return tuple(self._shared(*crossing, one, other) for crossing in crossings)

    def _shared(self, trait: str, crossed: str, one: Codes, other: Codes) -> SharedNames:
        own, crosswise = self._words[trait], self._words[crossed].marks
        of = own.first.take(one)
        of[of != own.first.take(other)] = 0
        rest = np.flatnonzero(of == 0)
        lefts, rights = one[rest], other[rest]
        asked = own.marks[lefts] & (own.marks[rights] | crosswise[rights]) != 0
        shared, of = _first_words(of, self._spelled)
        of[rest[asked]] = self._asked(trait, crossed, lefts[asked], rights[asked], shared)
        return SharedNames(trait, tuple(shared), of)

    def _asked(
        self, trait: str, crossed: str, one: Codes, other: Codes, shared: dict[SharedName, int]
    ) -> Places:
        """The numbers in ``shared`` of what pairs of names have in common; what is new is added."""
        values = self._names.values
        pairs = one.astype(np.int64) * len(values) + other
        different, places = np.unique(pairs, return_inverse=True)
        lefts, rights = (
            map(values.__getitem__, codes.tolist())
            for codes in np.divmod(different, max(len(values), 1))
        )
        own, crosswise = _PLACES[trait], _PLACES[crossed]
        found = (
            shared_words(left[own], right[own], right[crosswise])
            for left, right in zip(lefts, rights, strict=True)
        )
        numbers = [shared.setdefault(name, len(shared)) for name in found]
        return np.array(numbers, dtype=np.int64)[places]


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
