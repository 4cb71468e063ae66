"""Which records of a set are compared, and how alike they are: what models are judged by and learn from.

The rule is that of a store: a block of more than so many records is not read, its narrower blocks are read instead.
A record is looked up among those before it, so that every pair is compared once, as when a file is loaded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpi.matching.blocking import BLOCK_LIMIT, NARROWED_FACTOR, blocking_keys, stored_keys
from mpi.matching.comparison import TRAIT_INDEX, informative
from mpi.matching.kinds import Kinds, kinds_of
from mpi.matching.model import FREQUENCY_TRAITS, Flags, Matrix, Model, Places, Said, Weights
from mpi.matching.pairs import Columns
from mpi.matching.record import StandardRecord
from mpi.matching.shared_names import SharedNames
from mpi.matching.vetoes import vetoes_between

Progress = Callable[[int], object]
"""Told how many records are done."""

_EVERY = 1_000
_FREQUENT = [TRAIT_INDEX[trait] for trait in FREQUENCY_TRAITS]


@dataclass(frozen=True, slots=True)
class ComparedPairs:
    """N pairs of records of one set, by their places in it, and their comparison vectors (T traits)."""

    left: Places  # (N,): the later record
    right: Places  # (N,)
    levels: Matrix  # (N, T)
    unnamed: Flags  # (N,): whether one, and one only, has a given name
    kinds: Kinds  # of comparison vectors, and of these
    shared: tuple[SharedNames, ...]  # per frequency trait, the N names that both have

    def __len__(self) -> int:
        return len(self.left)

    def rarities(self, model: Model) -> Weights:
        """Term-frequency adjustments of the names that agree, as they are weighed. Shape (N, F)."""
        found = np.stack([shared.rarities(model) for shared in self.shared], axis=1)
        agreed = model.matched(self._different)[:, _FREQUENT] > 0
        return np.where(agreed[self.kinds.of], found, 0.0)

    def weights(self, model: Model, index_size: int) -> Weights:
        """The total weight of each pair, as of a person with that one record. Shape (N,)."""
        rarities, said = self.rarities(model).sum(axis=1), self._said(model)
        unplaced = model.unplaced(said, rarities, index_size)
        penalties = model.penalties(said, rarities, unplaced, index_size)
        agreements: Weights = model.matched(self._different).sum(axis=1)[self.kinds.of]
        total: Weights = agreements + rarities + unplaced + penalties + model.prior(index_size)
        return total

    def unplaced(self, model: Model, index_size: int) -> Weights:
        """The part of each weight that is of pairs of unknown place, as the model has it. Shape (N,)."""
        return model.unplaced(self._said(model), self.rarities(model).sum(axis=1), index_size)

    def vetoed(self) -> NDArray[np.bool_]:
        """Which pairs may not be linked automatically. Shape (N,)."""
        forbidden = [bool(vetoes_between(vector[np.newaxis])) for vector in self._different]
        return np.array(forbidden, dtype=bool)[self.kinds.of]

    @property
    def _different(self) -> Matrix:
        return self.levels[self.kinds.first]

    def _said(self, model: Model) -> Said:
        unnamed = self.unnamed[self.kinds.first]
        return model.said(self._different, unnamed).of(self.kinds.of)


def candidates_before(
    records: Sequence[StandardRecord], limit: int = BLOCK_LIMIT
) -> Iterator[tuple[int, list[int]]]:
    """Each record that shares a blocking key with an earlier one, and these earlier ones, in order."""
    blocks: dict[int, list[int]] = defaultdict(list)
    for number, record in enumerate(records):
        found: set[int] = set()
        narrower: set[int] = set()
        for key, narrow in blocking_keys(record):
            block = blocks.get(key, ())
            if len(block) <= limit:
                found.update(block)
            else:
                narrower.update(narrow or (key,))
        for key in narrower:
            found.update(blocks.get(key, ())[: limit * NARROWED_FACTOR])
        if found:
            yield number, sorted(found)
        for key in stored_keys(record):
            blocks[key].append(number)


def blocked_pairs(
    records: Sequence[StandardRecord],
    progress: Progress | None = None,
    limit: int = BLOCK_LIMIT,
) -> tuple[list[int], list[int]]:
    """Every pair of records that share a blocking key, by their places: the later ones, and the earlier ones."""
    left: list[int] = []
    right: list[int] = []
    told = 0
    for number, before in candidates_before(records, limit):
        left += [number] * len(before)
        right += before
        if progress is not None and number >= told + _EVERY:
            told = number
            progress(told)
    return left, right


def compare_pairs(
    columns: Columns, left: Sequence[int] | Places, right: Sequence[int] | Places
) -> ComparedPairs:
    """The pairs that are named, by the places of their records in the columns."""
    one, other = np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)
    levels = informative(columns.compare(one, other))
    unnamed = columns.names.one_unnamed(one, other)
    kinds = kinds_of(levels, unnamed.astype(np.int64))
    return ComparedPairs(one, other, levels, unnamed, kinds, columns.names.shared(one, other))


def compare_all(
    records: Sequence[StandardRecord],
    progress: Progress | None = None,
    limit: int = BLOCK_LIMIT,
) -> ComparedPairs:
    """Every pair of records that share a blocking key."""
    return compare_pairs(Columns(records), *blocked_pairs(records, progress, limit))
