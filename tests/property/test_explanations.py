"""The rows of an explanation sum to the log-odds that are shown, to the last bit, whatever made the model."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from itertools import islice

import numpy as np
import pytest

from mpi.demo.population import Population
from mpi.domain.identity import PersonState
from mpi.domain.registration import read_flat
from mpi.matching.comparison import informative
from mpi.matching.expectation import UnlabelledPairs, learn
from mpi.matching.model import Model, load_anchors, load_default_model
from mpi.matching.pairing import ComparedPairs, compare_all
from mpi.matching.pairs import Columns
from mpi.matching.record import StandardRecord
from mpi.matching.standardize import standardize
from mpi.matching.training import LabelledPairs, train
from mpi.matching.weighing import weigh
from tests.support.matching import person_of

_ROWS = 2_000
_ASKING, _PERSONS = 200, 50  # each of so many records is weighed against so many persons


@cache
def _patients() -> tuple[list[StandardRecord], list[str]]:
    """Records, and who they are."""
    rows = list(Population(_ROWS, 5, "dirty").rows())
    records = [standardize(read_flat(row)[0].demographics)[0] for row, _ in rows]
    return records, [truth.entity_id for _, truth in rows]


def _persons() -> list[PersonState]:
    held: dict[str, list[StandardRecord]] = defaultdict(list)
    for record, person in zip(*_patients(), strict=True):
        held[person].append(record)
    return [person_of(person, *records) for person, records in held.items()]


@cache
def _pairs() -> ComparedPairs:
    return compare_all(_patients()[0])


def _learned_alone() -> Model:
    records, anchors = _patients()[0], load_anchors()
    left, right = np.arange(len(records)), np.roll(np.arange(len(records)), 1)
    random = informative(Columns(records).compare(left, right))
    rarities = _pairs().rarities(anchors).sum(axis=1)
    return learn(anchors, UnlabelledPairs(_pairs().levels, rarities, random, len(records))).model


def _learned_from_labels() -> Model:
    pairs, people, model = _pairs(), np.array(_patients()[1]), load_default_model()
    same = people[pairs.left] == people[pairs.right]
    rarities = pairs.rarities(model).sum(axis=1)
    labelled = LabelledPairs(pairs.levels, rarities, same, ~same, _ROWS, int(same.sum()))
    return train(model, [labelled], steps=20)


@pytest.mark.parametrize(
    "made", [load_default_model, load_anchors, _learned_alone, _learned_from_labels]
)
def test_the_rows_of_ten_thousand_pairs_sum_to_their_weights(made: Callable[[], Model]) -> None:
    model, persons, likely = made(), _persons(), 0
    home = {person.mpi_id: number for number, person in enumerate(persons)}
    for record, who in islice(zip(*_patients(), strict=True), _ASKING):
        around = [persons[(home[who] + step) % len(persons)] for step in range(_PERSONS)]
        weighing = weigh(record, around, model, _ROWS)
        totals = weighing.totals()
        for place, total in enumerate(totals):
            assert math.fsum(row.weight for row in weighing.rows(place)) == total
        likely += max(totals) >= model.thresholds.link
    assert likely >= _ASKING / 2  # matches are among them, not only strangers
