"""Pairs drawn from a model: what it says of levels is then the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mpi.matching.comparison import TRAIT_INDEX, TRAITS
from mpi.matching.model import Matrix, Model, Weights
from mpi.matching.training import LabelledPairs


def chances(model: Model, weights: Weights, trait: str) -> Weights:
    """How often each spoken level of a trait is seen where ``weights`` [trait, level] hold."""
    row = TRAIT_INDEX[trait]
    spoken = slice(1, len(TRAITS[row].levels))
    found = model.chance[row, spoken] * np.exp2(weights[row, spoken])
    shares: Weights = found / found.sum()
    return shares


def drawn(
    chance: np.random.Generator, model: Model, weights: Weights, traits: Sequence[str], count: int
) -> Matrix:
    """Comparison vectors of which the named traits are spoken of."""
    levels = np.zeros((count, len(TRAITS)), dtype=np.int8)
    for trait in traits:
        shares = chances(model, weights, trait)
        levels[:, TRAIT_INDEX[trait]] = 1 + chance.choice(len(shares), size=count, p=shares)
    return levels


def labelled(
    chance: np.random.Generator,
    model: Model,
    traits: Sequence[str],
    matches: int,
    strangers: int,
    records: int,
) -> LabelledPairs:
    """Pairs of one person and of strangers, as the model says they look."""
    levels = np.concatenate(
        [
            drawn(chance, model, model.match, traits, matches),
            drawn(chance, model, np.zeros_like(model.match), traits, strangers),
        ]
    )
    same: NDArray[np.bool_] = np.arange(len(levels)) < matches
    return LabelledPairs(levels, np.zeros(len(levels)), same, ~same, records, matches)
