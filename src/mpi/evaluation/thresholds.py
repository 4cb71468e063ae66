"""Thresholds from what people want of them: how right links shall be, and how many questions there may be.

Each record of the index is decided anew, as in :mod:`mpi.evaluation.rehearsal`; what counts is the weight of the person
that fits it best. The probability of a match is that of its weight, or, where stewards have judged pairs, what their
judgements make of it (Platt 1999): weights choose what is judged, but not the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpi.domain.identity import Neighbour
from mpi.evaluation.own import Labels
from mpi.evaluation.rehearsal import Scene, scenes
from mpi.evaluation.trial import Step
from mpi.matching.decision import NOT_SAME, ScoredPerson, explain_person
from mpi.matching.model import Model
from mpi.ports import IndexStore

Numbers = NDArray[np.float64]

FEWEST_JUDGED = 30
"""Judged pairs of each kind from which on they say more than the model itself."""

_STRENGTH = 10.0
"""How many judgements the model's own calibration is worth."""

_NEWTON_STEPS = 25
_LEAST_SLOPE = 0.1
_EVEN = 0.5

_GRID = np.arange(-8.0, 32.25, 0.25)
"""Weights that are tried as thresholds, in bits."""

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
class Fits:
    """The best person of each of N records that found any: its weight, and whether a veto forbids a link."""

    records: int  # looked at, N or more
    index_size: int
    weights: Numbers  # (N,)
    questions: Numbers  # (N,): what decides whether a steward is asked, see ScoredPerson
    vetoed: NDArray[np.bool_]  # (N,)


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a pair of thresholds gives on the index. Shares are of all its records."""

    link: float
    review: float
    precision: float  # expected, of the links
    at_link: float  # expected, of a link that just reaches the threshold
    linked_share: float
    review_share: float
    true_tasks: float  # expected share of the tasks that are a match


async def best_fits(store: IndexStore, model: Model, most: int, seed: int, step: Step) -> Fits:
    """The best person for records of the index, without those that a human has ruled out or confirmed."""
    weights, questions, vetoed = [], [], []
    records = size = 0
    async for scene in scenes(store, most, seed, step):
        records, size = records + 1, scene.index_size
        best = _best(scene, model)
        if best is not None:
            weights.append(best.weight)
            questions.append(best.question)
            vetoed.append(bool(best.vetoes))
    forbidden = np.array(vetoed, dtype=bool)
    return Fits(records, size, np.array(weights), np.array(questions), forbidden)


def _best(scene: Scene, model: Model) -> ScoredPerson | None:
    open_ones = [
        each
        for each in scene.decision(model).candidates
        if NOT_SAME not in each.vetoes and not each.same_assertion
    ]
    return max(open_ones, key=lambda each: each.weight, default=None)


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


def consequence(fits: Fits, calibrator: Calibrator, link: float, review: float) -> Consequence:
    """What thresholds give."""
    linked = (fits.weights >= link) & ~fits.vetoed
    asked = (fits.questions >= review) & ~linked
    chances = calibrator.probabilities(fits.weights)
    return Consequence(
        link=link,
        review=review,
        precision=float(chances[linked].mean()) if linked.any() else 1.0,
        at_link=float(calibrator.probabilities(np.array([link]))[0]),
        linked_share=float(linked.sum() / fits.records),
        review_share=float(asked.sum() / fits.records),
        true_tasks=float(chances[asked & ~fits.vetoed].sum() / max(asked.sum(), 1)),
    )


def link_threshold(fits: Fits, calibrator: Calibrator, precision: float) -> float:
    """The lowest weight from which on links are expected to be right so often, and the least one rather than wrong."""
    for link in _GRID:
        found = consequence(fits, calibrator, float(link), float(link))
        if found.precision >= precision and found.at_link >= _EVEN:
            return float(link)
    return float(_GRID[-1])


def review_threshold(fits: Fits, calibrator: Calibrator, link: float, share: float) -> float:
    """The lowest weight from which on no larger share of the records is asked about; the link threshold at the most."""
    for review in _GRID[link >= _GRID]:
        if consequence(fits, calibrator, link, float(review)).review_share <= share:
            return float(review)
    return link


async def judged_weights(
    store: IndexStore, model: Model, labels: Labels
) -> tuple[Numbers, NDArray[np.bool_]]:
    """The weights of judged pairs of records that are still there, and the judgements."""
    size = (await store.statistics())["records"]
    weights, judgements = [], []
    for (left, right), same in labels.items():
        one, other = await store.record(left), await store.record(right)
        if one is not None and other is not None and other.mpi_id is not None:
            person = Neighbour(other.mpi_id, (other,))
            weights.append(explain_person(one.standard, person, model, size).match_weight)
            judgements.append(same)
    return np.array(weights), np.array(judgements, dtype=bool)
