"""What a weight is worth: the probability of a match, the model's own or corrected by what stewards judged.

The correction is that of Platt (1999). Weights choose which pairs are judged, but not the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mpi.domain.identity import Neighbour
from mpi.evaluation.training_data import Labels
from mpi.matching.decision import fits
from mpi.matching.model import Model
from mpi.ports import IndexStore

Numbers = NDArray[np.float64]

FEWEST_JUDGED = 30
"""Judged pairs of each kind from which on they say more than the model itself."""

_STRENGTH = 10.0
"""How many judgements the model's own calibration is worth."""

_NEWTON_STEPS = 25
_LEAST_SLOPE = 0.1
_LN2 = math.log(2)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """log odds = ``slope`` × weight × ln 2 + ``offset``; 1 and 0 believe the weight."""

    slope: float = 1.0
    offset: float = 0.0
    judged: int = 0

    def probabilities(self, weights: Numbers) -> Numbers:
        """The probability of a match at each weight."""
        odds = np.clip(self.slope * weights * _LN2 + self.offset, -500, 500)
        found: Numbers = 1 / (1 + np.exp(-odds))
        return found


@dataclass(frozen=True, slots=True)
class Calibrators:
    """Links are made by weight and tasks by ``question`` (see ``ScoredPerson``), so each has its own calibrator."""

    links: Calibrator = field(default_factory=Calibrator)
    tasks: Calibrator = field(default_factory=Calibrator)


def calibrated(weights: Numbers, same: NDArray[np.bool_]) -> Calibrator:
    """What judged pairs make of a weight; with less than ``FEWEST_JUDGED`` of a kind, the weight is believed."""
    if min(int(same.sum()), int((~same).sum())) < FEWEST_JUDGED:
        return Calibrator()
    bits = np.column_stack((weights * _LN2, np.ones_like(weights)))
    believed = np.array([1.0, 0.0])
    point = believed.copy()
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(bits @ point, -500, 500)))
        slope = bits.T @ (chance - same) + _STRENGTH * (point - believed)
        curve = (bits * (chance * (1 - chance))[:, np.newaxis]).T @ bits + _STRENGTH * np.eye(2)
        point = point - np.linalg.solve(curve, slope)
    # A weight that says less the larger it is would turn the thresholds round.
    return Calibrator(max(float(point[0]), _LEAST_SLOPE), float(point[1]), len(same))


async def calibrators(store: IndexStore, model: Model, labels: Labels) -> Calibrators:
    """What judgements of pairs of records that are still there make of the weights of the model."""
    size = (await store.statistics())["records"]
    weights, questions, judgements = [], [], []
    for (left, right), same in labels.items():
        one, other = await store.record(left), await store.record(right)
        if one is not None and other is not None and other.mpi_id is not None:
            person = Neighbour(other.mpi_id, (other,))
            scored = fits(one.standard, None, person, (), model, size)
            weights.append(scored.weight)
            questions.append(scored.question)
            judgements.append(same)
    answers = np.array(judgements, dtype=bool)
    return Calibrators(
        calibrated(np.array(weights), answers), calibrated(np.array(questions), answers)
    )
