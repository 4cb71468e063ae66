"""Compare many pairs of records at once: columns of values in, a matrix of level numbers out. Pure.

What two values are to each other is said by :mod:`mpi.matching.comparators` alone. They are asked
once for each distinct pair of values, and for most pairs of strangers not even that: values that share no mark stand to
each other as their outlines do (:mod:`mpi.matching.outlines`), of which there are few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpi.matching.coding import Coded, Codes
from mpi.matching.comparison import TRAIT_INDEX, TRAITS, level_numbers
from mpi.matching.model import Places
from mpi.matching.outlines import HALF, OUTLINES, WINKLER, Marks, Outline, Text
from mpi.matching.record import StandardRecord
from mpi.matching.shared_names import Names

Levels = NDArray[np.int8]
_Comparator = Callable[[Any, Any], str]

_CHUNK = 1 << 16  # pairs that are worked on together: their columns stay in the processor's cache
_NO_TEXT = Text(0, 0)
_WINKLER_FROM = 0.7
_ROUNDING = 0.001  # more than two ways of calculating can differ by
_DENSE = (
    16  # entries per pair that a table of all pairs of values may have: it is quicker than sorting
)


class Columns:
    """Standardised records, trait by trait, ready to be compared in any pairs."""

    def __init__(self, records: Sequence[StandardRecord]) -> None:
        self._columns = [
            _Column(t.name, t.comparator, Coded(map(t.value, records)), OUTLINES.get(t.name))
            for t in TRAITS
        ]
        self.names = Names(self._columns[TRAIT_INDEX["given"]].coded)

    def __len__(self) -> int:
        return len(self._columns[0].coded.codes)

    def compare(self, left: Places, right: Places) -> Levels:
        """The comparison vectors of pairs, given by the places of their records: shape (pairs, traits).

        The same as :func:`mpi.matching.comparison.compare` answers for each pair alone.
        """
        matrix = np.empty((len(TRAITS), len(left)), dtype=np.int8)
        # One record's pairs follow each other, so that its values stay in the processor's cache.
        order = np.argsort(left, kind="stable")
        left, right = left[order], right[order]
        for number, column in enumerate(self._columns):
            comparison = _Comparison(column, len(left))
            for start in range(0, len(left), _CHUNK):
                part = slice(start, start + _CHUNK)
                matrix[number, order[part]] = comparison.levels(left[part], right[part])
        return matrix.T


class _Column:
    """Values of all records, their comparator, and what is beneath them."""

    def __init__(
        self, trait: str, comparator: _Comparator, coded: Coded, outline: Outline | None
    ) -> None:
        self.trait = trait
        self.comparator = comparator
        self.coded = coded
        self.beneath = _Beneath(trait, coded, outline) if outline else None


class _Beneath:
    """The column of the outlines of values, and the marks that tell which pairs of values need more."""

    def __init__(self, trait: str, coded: Coded, outline: Outline) -> None:
        drawn = Coded(map(outline.draw, coded.values))
        self.equal = _equal_levels(trait, outline.equal, drawn)
        drawn.spread(coded.codes)
        self.column = _Column(trait, outline.comparator, drawn, outline.beneath)
        marks = [outline.marks(value) for value in coded.values]
        self._offered = _halves((m.offered for m in marks), coded.codes)
        self._sought = _halves((m.sought for m in marks), coded.codes)
        most = max((len(m.texts) for m in marks), default=0)
        self._texts = [_Texts(marks, place, coded.codes) for place in range(most)]
        self._edits = outline.edits
        self._factors = None if outline.alike is None else _least_in_common(outline.alike)

    def near(self, left: Places, right: Places) -> Places:
        """Which of the pairs may have more in common than their outlines tell."""
        near = self._share(left, right) | self._share(right, left)
        for one, other in product(self._texts, repeat=2):
            both = np.flatnonzero(one.known.take(left) & other.known.take(right))
            lefts, rights = left.take(both), right.take(both)
            alone = np.bitwise_count(one.letters.take(lefts) ^ other.letters.take(rights))
            if self._factors is None:
                near[both] |= alone <= 2 * self._edits
            else:
                near[both] |= alone <= _most_alone(one, lefts, other, rights, self._factors)
        return np.flatnonzero(near)

    def _share(self, offering: Places, seeking: Places) -> NDArray[np.bool_]:
        """Where a word is offered that is sought: it has a bit in each half.

        By chance many pairs share one in the first alone.
        """
        shared: NDArray[np.bool_] = (
            self._offered[0].take(offering) & self._sought[0].take(seeking)
        ) != 0
        some = np.flatnonzero(shared)
        offered, sought = self._offered[1].take(offering[some]), self._sought[1].take(seeking[some])
        shared[some] = (offered & sought) != 0
        return shared


class _Texts:
    """The first, or the second, text of every record."""

    def __init__(self, marks: Sequence[Marks], place: int, codes: Codes) -> None:
        texts = [m.texts[place] if place < len(m.texts) else _NO_TEXT for m in marks]
        self.letters = _spread((text.letters for text in texts), codes, np.uint64)
        self.lengths = _spread((text.length for text in texts), codes, np.float32)
        self.starts = _spread((text.start for text in texts), codes, np.uint32)
        self.known = self.lengths > 0


def _most_alone(
    one: _Texts, left: Places, other: _Texts, right: Places, factors: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How many characters may be in one of two texts only, if they are to be as similar as the outline asks.

    Jaro's similarity of texts of a and b characters, m of them in both, is (m/a + m/b + s)/3 with s ≤ 1. It is j at
    least only if m(a + b)/ab ≥ 3j − 1, and a + b − 2m are in one only.
    """
    a, b = one.lengths.take(left), other.lengths.take(right)
    equal = _equal_bytes(one.starts.take(left) ^ other.starts.take(right))
    most: NDArray[np.float32] = a + b - factors[equal] * (a * b / (a + b))
    return most


def _spread(numbers: Iterable[int], codes: Codes, kind: type[Any]) -> NDArray[Any]:
    """From a number for each distinct value to one for every record."""
    return np.fromiter(numbers, dtype=kind)[codes]


def _halves(sets: Iterable[int], codes: Codes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """From a set of marks for each distinct value to its first half for every record, and its second."""
    whole = b"".join([bits.to_bytes(HALF // 4, "little") for bits in sets])
    halves = np.frombuffer(whole, np.dtype("<u8")).reshape(-1, 2)
    return halves[codes, 0], halves[codes, 1]


def _equal_bytes(different: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """How many of four bytes are equal from the start, of the exclusive or of two words."""
    equal = np.zeros(len(different), np.uint8)
    for bits in (24, 16, 8, 0):
        equal += different < 1 << bits
    return equal


def _least_in_common(alike: float) -> NDArray[np.float32]:
    """2(3j − 1) for the least Jaro similarity j that can reach ``alike``, by how many characters begin both texts.

    Winkler adds, to what is above .7, a tenth of what is missing for each of them.
    """
    added = np.arange(WINKLER + 1) / 10
    least = np.maximum(min(alike, _WINKLER_FROM), (alike - added) / (1 - added))
    return (6 * least - 2 - _ROUNDING).astype(np.float32)


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
        keys = codes.take(left).astype(np.int64) * len(values) + codes.take(right)
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
        lefts, rights = np.divmod(keys, len(values))
        beneath = self._column.beneath
        if beneath is None or beneath.equal is None:
            return _levels(self._column.trait, _compared(comparator, values, lefts, rights))
        found = beneath.equal[lefts]
        unequal = np.flatnonzero(lefts != rights)
        words = _compared(comparator, values, lefts[unequal], rights[unequal])
        found[unequal] = _levels(self._column.trait, words)
        return found


def _compared(
    comparator: _Comparator, values: Sequence[Any], lefts: Places, rights: Places
) -> Iterator[str]:
    one, other = (map(values.__getitem__, places.tolist()) for places in (lefts, rights))
    return map(comparator, one, other)


def _levels(trait: str, words: Iterable[str]) -> Levels:
    return np.fromiter(map(level_numbers(trait).__getitem__, words), np.int8)


def _equal_levels(trait: str, equal: Callable[[Any], str] | None, drawn: Coded) -> Levels | None:
    """For each distinct value its level with one equal to it, where outlines tell that."""
    return None if equal is None else _levels(trait, map(equal, drawn.values))[drawn.codes]
