import numpy as np
import pytest

from mpi.demo.population import Population
from mpi.domain.registration import read_flat
from mpi.matching.model import FREQUENCY_TRAITS, load_default_model, shared_value
from mpi.matching.pairs import Columns
from mpi.matching.standardize import standardize

RECORDS = [
    standardize(read_flat(row)[0].demographics)[0]
    for row, _ in Population(2_000, seed=3, profile="dirty").rows()
]


@pytest.mark.parametrize("number", range(len(FREQUENCY_TRAITS)))
def test_names_of_many_pairs_are_those_of_each_alone(number: int) -> None:
    left, right = np.random.default_rng(1).integers(0, len(RECORDS), (2, 100_000))
    found = Columns(RECORDS).names.shared(left, right)[number]
    trait, model = FREQUENCY_TRAITS[number], load_default_model()
    crossed = 0
    for a, b, place, rarity in zip(left, right, found.of, found.rarities(model), strict=True):
        expected = shared_value(trait, RECORDS[a], RECORDS[b])
        assert found.names[place].values == expected.values
        assert rarity == model.rarity(trait, expected)
        crossed += expected.crossed and bool(expected.values)
    assert found.trait == trait
    assert crossed > 5


def test_no_pairs_share_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert [found.of.size for found in Columns([]).names.shared(none, none)] == [0, 0]
