import numpy as np
import pytest

from mpi.matching.comparison import TRAITS
from mpi.matching.kinds import kinds_of

SIZES = [len(trait.levels) for trait in TRAITS]


def test_pairs_of_one_kind_are_equal_in_everything() -> None:
    chance = np.random.default_rng(1)
    different = chance.integers(0, SIZES, (50, len(TRAITS))).astype(np.int8)
    # Vectors that differ in their last trait only, and in their first.
    different[1], different[2] = different[0], different[0]
    different[1, -1] = (different[0, -1] + 1) % SIZES[-1]
    different[2, 0] = (different[0, 0] + 1) % SIZES[0]
    levels = different[chance.integers(0, 50, 5_000)]
    also = chance.integers(-3, 4, (2, 5_000))
    kinds = kinds_of(levels, *also)
    rows = np.column_stack((levels, *also))
    assert np.array_equal(rows[kinds.first][kinds.of], rows)
    assert len(kinds.first) == len(np.unique(rows, axis=0))
    assert kinds.counts.sum() == 5_000
    assert kinds.counts.min() > 0


def test_nothing_has_no_kinds() -> None:
    kinds = kinds_of(np.zeros((0, len(TRAITS)), np.int8), np.zeros(0, np.int64))
    assert len(kinds.first) == len(kinds.of) == len(kinds.counts) == 0


def test_numbers_that_are_too_far_apart_are_refused() -> None:
    with pytest.raises(OverflowError, match="so much"):
        kinds_of(np.zeros((2, len(TRAITS)), np.int8), np.array([0, 1 << 40]))
