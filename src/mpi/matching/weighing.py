"""Weigh one record against persons: what every trait says for and against each of them, all at once. Pure.

A record is compared with every record of a person; per trait the most telling agreement counts. Agreement with any of
k different values is likelier by chance, u_k = 1 − (1 − u)^k, so persons with many values do not attract everybody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mpi.domain.identity import Candidate
from mpi.matching.comparison import TRAIT_INDEX, TRAITS, informative
from mpi.matching.gathering import Compared, compare_persons
from mpi.matching.model import FREQUENCY_TRAITS, Flags, Matrix, Model, Weights, shared_value
from mpi.matching.record import StandardRecord

_COLUMNS = np.arange(len(TRAITS))
_GIVEN = TRAIT_INDEX["given"]
_FREQUENCY_COLUMNS = [(trait, TRAIT_INDEX[trait]) for trait in FREQUENCY_TRAITS]


@dataclass(frozen=True, slots=True)
class ExplanationRow:
    """One bar of the waterfall. ``record`` names the (source, source_id) compared with."""

    trait: str
    level: str
    weight: float
    record: tuple[str, str] | None = field(repr=False)
    kind: str  # prior, comparison, term_frequency, relatives


@dataclass(frozen=True, slots=True)
class Weighing:
    """What speaks for and against each of P persons, trait by trait (T traits, F of them with frequencies).

    The total weight of a person is the exact sum of its prior, its row of ``weights``, its row of ``rarities``,
    its ``unplaced`` and its ``penalty``.
    """

    compared: Compared
    best: NDArray[np.intp]  # (P, T): its row that is most telling for a trait
    levels: Matrix  # (P, T): its level, 0 where the trait was not compared
    weights: Weights  # (P, T)
    rarities: Weights  # (P, F)
    unplaced: Weights  # (P,)
    penalties: Weights  # (P,)
    prior: float

    def totals(self) -> list[float]:
        """The total weight (log2 odds) of each person."""
        parts = (self.weights, self.rarities, self.unplaced, self.penalties)
        return [
            math.fsum((self.prior, *weights, *rarities, unplaced, penalty))
            for weights, rarities, unplaced, penalty in zip(
                *(part.tolist() for part in parts), strict=True
            )
        ]

    def rows(self, number: int) -> tuple[ExplanationRow, ...]:
        """Everything that makes up the total weight of one person; the rows sum to it exactly."""
        found = [ExplanationRow("prior", "", self.prior, None, "prior")]
        for column, trait in enumerate(TRAITS):
            level = int(self.levels[number, column])
            if not level:
                continue
            key = self.compared.record(number, column, int(self.best[number, column])).key
            named, word = (key.source, key.source_id), trait.levels[level]
            weight = float(self.weights[number, column])
            found.append(ExplanationRow(trait.name, word, weight, named, "comparison"))
            if trait.name in FREQUENCY_TRAITS:
                rarity = float(self.rarities[number, FREQUENCY_TRAITS.index(trait.name)])
                if rarity:
                    row = ExplanationRow(trait.name, word, rarity, named, "term_frequency")
                    found.append(row)
        unplaced, penalty = float(self.unplaced[number]), float(self.penalties[number])
        if unplaced:
            found.append(ExplanationRow("catchment", "", unplaced, None, "prior"))
        found.append(ExplanationRow("relatives", "", penalty, None, "relatives"))
        return tuple(found)


def weigh(
    record: StandardRecord, persons: Sequence[Candidate], model: Model, index_size: int
) -> Weighing:
    """Weigh a record against persons, each with at least one record."""
    compared = compare_persons(record, persons)
    best = _most_telling(compared, model)
    levels = informative(compared.vectors[best, _COLUMNS])
    said, weights = model.said(levels, _unnamed(record, persons, levels)), model.matched(levels)
    lost = np.zeros(len(persons))
    for number, (start, end) in enumerate(pairwise(compared.starts)):
        if end - start > 1:
            lost[number] = _count_values(compared, number, levels[number], weights[number], model)
    said = said.lowered(lost)
    rarities = _rarities(record, compared, best, weights, model)
    rarity = rarities.sum(axis=1)
    unplaced = model.unplaced(said, rarity, index_size)
    penalties = model.penalties(said, rarity, unplaced, index_size)
    return Weighing(
        compared, best, levels, weights, rarities, unplaced, penalties, model.prior(index_size)
    )


def _unnamed(record: StandardRecord, persons: Sequence[Candidate], levels: Matrix) -> Flags:
    """Whether the record has a given name and the person none, or the other way round. Shape (P,).

    A person that came without a name before is not met by its nursery's record, but by another one: perhaps its twin's.
    """
    silent: Flags = levels[:, _GIVEN] == 0
    if not record.given:
        for number in np.flatnonzero(silent).tolist():
            silent[number] = all(r.standard.given for r in persons[number].records)
    return silent


def _most_telling(compared: Compared, model: Model) -> NDArray[np.intp]:
    """Per person and trait the row whose level weighs most; the first of equals. Shape (P, T)."""
    vectors, starts = compared.vectors, compared.starts[:-1]
    size = len(vectors)
    if size == len(starts):
        return np.broadcast_to(np.arange(size)[:, np.newaxis], vectors.shape)
    # Rank first, then an earlier row before a later one, in one number to take the maximum of.
    order = model.ranks[_COLUMNS, vectors] * size + np.arange(size - 1, -1, -1)[:, np.newaxis]
    strongest = np.maximum.reduceat(order, starts, axis=0)
    return np.asarray(size - 1 - strongest % size, dtype=np.intp)


def _count_values(
    compared: Compared, number: int, levels: Matrix, weights: Weights, model: Model
) -> float:
    """Lower, in place, the ``weights`` of agreements with one of several different values; answers by how much in all.

    What is likelier for strangers is no sign of relatives either: their weights fall as much.
    """
    lost = 0.0
    for column in np.flatnonzero(weights > 0).tolist():
        count = compared.spoken(number, column)
        if count > 1:
            u = float(model.chance[column, levels[column]])
            any_of_them = math.log2((1 - (1 - u) ** count) / u)
            cut = min(float(weights[column]), any_of_them)
            weights[column] -= cut
            lost += cut
    return lost


def _rarities(
    record: StandardRecord,
    compared: Compared,
    best: NDArray[np.intp],
    weights: Weights,
    model: Model,
) -> Weights:
    """Term-frequency adjustments of the names that agree. Shape (P, F)."""
    found = np.zeros((len(weights), len(FREQUENCY_TRAITS)))
    for place, (trait, column) in enumerate(_FREQUENCY_COLUMNS):
        for number in np.flatnonzero(weights[:, column] > 0).tolist():
            other = compared.record(number, column, int(best[number, column])).standard
            found[number, place] = model.rarity(trait, shared_value(trait, record, other))
    return found
