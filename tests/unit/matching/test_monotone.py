from itertools import pairwise, product

import numpy as np
import pytest

from mpi.matching.model import load_default_model
from mpi.matching.monotone import CHAINS, bounds_in_order, in_order, ordered


def test_values_in_order_stay_as_they_are() -> None:
    assert ordered([3.0, 2.0, 2.0, -1.0]) == [3.0, 2.0, 2.0, -1.0]


def test_neighbours_out_of_order_meet_in_the_middle() -> None:
    assert ordered([1.0, 3.0, 0.0]) == [2.0, 2.0, 0.0]
    assert ordered([0.0, 1.0, 5.0]) == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("seed", range(5))
def test_no_other_allowed_chain_is_nearer(seed: int) -> None:
    """Against every chain of a grid."""
    chance = np.random.default_rng(seed)
    wished = chance.uniform(-2, 6, 3)
    high = np.sort(chance.uniform(1, 5, 3))[::-1]
    low = high - np.sort(chance.uniform(0.5, 3, 3))
    low = np.minimum.accumulate(low)
    found = np.array(ordered(wished.tolist(), low.tolist(), high.tolist()))
    assert all(one >= other for one, other in pairwise(found))
    assert (found >= low).all()
    assert (found <= high).all()
    grid = [np.linspace(bottom, top, 25) for bottom, top in zip(low, high, strict=True)]
    for chain in product(*grid):
        if chain[0] >= chain[1] >= chain[2]:
            assert ((found - wished) ** 2).sum() <= ((chain - wished) ** 2).sum() + 1e-9


def test_bounds_in_order_keep_every_ordered_chain_that_the_bounds_let_through() -> None:
    match = load_default_model().match
    low, high = bounds_in_order(match - 1, match + 1)
    chance = np.random.default_rng(1)
    for _ in range(200):
        chain = in_order(match + chance.uniform(-1, 1, match.shape))
        inside = np.clip(chain, match - 1, match + 1)
        for row, levels in CHAINS:
            values = inside[row, levels]
            if (np.diff(values) <= 0).all():
                assert (values >= low[row, levels] - 1e-9).all()
                assert (values <= high[row, levels] + 1e-9).all()
