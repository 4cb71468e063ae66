"""Labelled sets as pairs to learn from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpi.evaluation.labelled import LabelledSet, Relations
from mpi.evaluation.trial import Step, true_pairs
from mpi.matching.households import household_signs
from mpi.matching.model import Model
from mpi.matching.pairing import ComparedPairs, compare_all
from mpi.matching.training import LabelledPairs


def pairs_of(found: LabelledSet, model: Model, step: Step) -> LabelledPairs:
    """Every pair of records that share a blocking key, with what is known of them.

    Strangers are those whose people are not told to be related; where no relations are told, those that share nothing
    a household would. For training the shipped model and for benches: `mpi train` learns from an index.
    """
    records, told = found.judged()
    people, number_of = np.unique(told, return_inverse=True)
    compared = compare_all(
        [record.standard for record in records],
        lambda done: step("comparing", done, len(records)),
    )
    left, right = number_of[compared.left], number_of[compared.right]
    same = left == right
    return LabelledPairs(
        levels=compared.levels,
        rarities=compared.rarities(model).sum(axis=1),
        same=same,
        strangers=~same & ~_related(compared, people[left], people[right], found.related),
        records=len(records),
        true_pairs=true_pairs(number_of),
        unnamed=compared.unnamed,
    )


def _related(
    compared: ComparedPairs, left: NDArray[np.str_], right: NDArray[np.str_], related: Relations
) -> NDArray[np.bool_]:
    if not related:
        return household_signs(compared.levels) > 0
    told = {frozenset((one, other)) for one, other, _ in related}
    pairs = zip(left.tolist(), right.tolist(), strict=True)
    return np.array([frozenset(pair) in told for pair in pairs], dtype=bool)
