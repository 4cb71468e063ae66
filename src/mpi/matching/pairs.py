"""Compare many pairs of records at once: columns of values in, a matrix of level numbers out. Pure.

What two values are to each other is said by :mod:`mpi.matching.comparators` alone. They are asked
once for each distinct pair of values, and for most pairs of strangers not even that: values that share no mark stand to
each other as their outlines do (:mod:`mpi.matching.outlines`), of which there are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpi.matching.comparison import TRAITS, level_numbers
from mpi.matching.outlines import OUTLINES, Outline
from mpi.matching.record import StandardRecord

Places = NDArray[np.intp]
Levels = NDArray[np.int8]
_Codes = NDArray[np.int32]
_Lengths = NDArray[np.float32]
_Comparator = Callable[[Any, Any], str]

_CHUNK = 1 << 16  # pairs that are worked on together: their columns stay in the processor's cache
_DENSE = (
    16  # entries per pair that a table of all pairs of values may have; it is quicker than sorting
)


class Columns:
    """Standardised records, trait by trait, ready to be compared in any pairs."""

    def __init__(self, records: Sequence[StandardRecord]) -> None:
        self._columns = [
            _Column(t.name, t.comparator, _Coded(map(t.value, records)), OUTLINES.get(t.name))
            for t in TRAITS
        ]

    def compare(self, left: Places, right: Places) -> Levels:
        """The comparison vectors of pairs, given by the places of their records: shape (pairs, traits).

        The same as :func:`mpi.matching.comparison.compare` answers for each pair alone.
        """
        matrix = np.empty((len(left), len(TRAITS)), dtype=np.int8)
        for number, column in enumerate(self._columns):
            comparison = _Comparison(column, len(left))
            for start in range(0, len(left), _CHUNK):
                part = slice(start, start + _CHUNK)
                matrix[part, number] = comparison.levels(left[part], right[part])
        return matrix


class _Coded:
    """A value for every record, as numbers of the distinct ones."""

    def __init__(self, values: Iterable[Any]) -> None:
        known: dict[Any, int] = {}
        codes = [known.setdefault(value, len(known)) for value in values]
        self.codes: _Codes = np.array(codes, dtype=np.int32)
        self.values = tuple(known)

    def spread(self, codes: _Codes) -> None:
        """From one value for each of other values to one for every record that has them."""
        self.codes = self.codes[codes]


class _Column:
    """Values of all records, their comparator, and what is beneath them."""

    def __init__(
        self, trait: str, comparator: _Comparator, coded: _Coded, outline: Outline | None
    ) -> None:
        self.trait = trait
        self.comparator = comparator
        self.coded = coded
        self.beneath = _Beneath(trait, coded, outline) if outline else None


class _Beneath:
    """The column of the outlines of values, and the marks that tell which pairs of values need more."""

    def __init__(self, trait: str, coded: _Coded, outline: Outline) -> None:
        drawn = _Coded(map(outline.draw, coded.values))
        drawn.spread(coded.codes)
        self.column = _Column(trait, outline.comparator, drawn, outline.beneath)
        marks = [outline.marks(value) for value in coded.values]
        self._offered = _bits(mark.offered for mark in marks)[coded.codes]
        self._sought = _bits(mark.sought for mark in marks)[coded.codes]
        self._letters = _bits(mark.letters for mark in marks)[coded.codes]
        lengths = np.fromiter((mark.length for mark in marks), np.float32)
        self._lengths = lengths[coded.codes]
        self._edits, self._alike = outline.edits, outline.alike

    def near(self, left: Places, right: Places) -> Places:
        """Which of the pairs may have more in common than their outlines tell."""
        shared = (self._offered[left] & self._sought[right]) != 0
        shared |= (self._sought[left] & self._offered[right]) != 0
        if self._edits or self._alike is not None:
            alone = np.bitwise_count(self._letters[left] ^ self._letters[right])
            shared |= alone <= (
                2 * self._edits
                if self._alike is None
                else _most_alone(self._lengths[left], self._lengths[right], self._alike)
            )
        return np.flatnonzero(shared)


def _most_alone(a: _Lengths, b: _Lengths, alike: float) -> _Lengths:
    """How many characters may be in one of two texts only, whose Jaro similarity is at least ``alike``.

    The similarity is (m/a + m/b + s)/3, with m of a and b characters in both and s ≤ 1, so m(a + b)/ab ≥ 3·alike − 1,
    and a + b − 2m are in one only. The thousandth makes up for rounding.
    """
    size = np.maximum(a + b, 1)
    most: _Lengths = size - np.float32(6 * alike - 2.001) * (a * b / size)
    return most


def _bits(sets: Iterable[int]) -> NDArray[np.uint64]:
    return np.fromiter(sets, dtype=np.uint64)


class _Comparison:
    """One column in one list of pairs: each distinct pair of values is asked of the comparator once."""

    def __init__(self, column: _Column, pairs: int) -> None:
        self._column = column
        self._beneath = _Comparison(column.beneath.column, pairs) if column.beneath else None
        entries = len(column.coded.values) ** 2
        self._table = np.full(entries, -1, np.int8) if entries <= _DENSE * pairs else None

    def levels(self, left: Places, right: Places) -> Levels:
        """Level numbers of pairs of records."""
        if self._column.beneath is None or self._beneath is None:
            return self._asked(left, right)
        found = self._beneath.levels(left, right)
        near = self._column.beneath.near(left, right)
        found[near] = self._asked(left[near], right[near])
        return found

    def _asked(self, left: Places, right: Places) -> Levels:
        codes, values = self._column.coded.codes, self._column.coded.values
        keys = codes[left].astype(np.int64) * len(values) + codes[right]
        if self._table is None:
            distinct, places = np.unique(keys, return_inverse=True)
            return self._ask(distinct)[places]
        found: Levels = self._table[keys]
        unknown = found < 0
        if unknown.any():
            distinct = np.unique(keys[unknown])
            self._table[distinct] = self._ask(distinct)
            found = self._table[keys]
        return found

    def _ask(self, keys: NDArray[np.int64]) -> Levels:
        values, comparator = self._column.coded.values, self._column.comparator
        numbers = level_numbers(self._column.trait)
        lefts, rights = np.divmod(keys, len(values))
        pairs = zip(lefts.tolist(), rights.tolist(), strict=True)
        levels = (numbers[comparator(values[a], values[b])] for a, b in pairs)
        return np.fromiter(levels, np.int8, len(keys))
