"""Signs of a household: what relatives share, and strangers hardly ever."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mpi.matching.comparison import TRAIT_INDEX, level_number
from mpi.matching.model import Matrix

_SHARED = {
    "family": ("exact", "token", "similar"),
    "address": ("exact", "other_unit", "street_spelling", "house_spelling"),
    "phone": ("exact",),
    "email": ("exact",),
}


def household_signs(levels: Matrix) -> NDArray[np.int64]:
    """How many of surname, address, phone and e-mail agree. Vectors of shape (N, T) give (N,)."""
    agree = [
        np.isin(levels[:, TRAIT_INDEX[trait]], [level_number(trait, name) for name in names])
        for trait, names in _SHARED.items()
    ]
    signs: NDArray[np.int64] = np.sum(agree, axis=0)
    return signs
