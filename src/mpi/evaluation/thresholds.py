"""Thresholds from what people want of them: how right links shall be, and how many questions there may be.

Each record of the index is decided anew, as in :mod:`mpi.evaluation.rehearsal`; what counts is the weight of the person
that fits it best. The probability of a match is that of its weight, or, where stewards have judged pairs, what their
judgements make of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mpi.evaluation.calibration import Calibrators
from mpi.evaluation.rehearsal import Scene, scenes
from mpi.evaluation.trial import Step
from mpi.matching.decision import NOT_SAME, ScoredPerson
from mpi.matching.model import Model
from mpi.ports import IndexStore

Numbers = NDArray[np.float64]

_EVEN = 0.5

_GRID = np.arange(-8.0, 32.25, 0.25)
"""Weights that are tried as thresholds, in bits."""


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


def consequence(fits: Fits, chances: Calibrators, link: float, review: float) -> Consequence:
    """What thresholds give."""
    linked = (fits.weights >= link) & ~fits.vetoed
    asked = (fits.questions >= review) & ~linked
    right = chances.links.probabilities(fits.weights[linked])
    # A veto forbids to link unseen; what it asks about is a match as often as anything of that weight.
    answers = chances.tasks.probabilities(fits.questions[asked])
    return Consequence(
        link=link,
        review=review,
        precision=float(right.mean()) if linked.any() else 1.0,
        at_link=float(chances.links.probabilities(np.array([link]))[0]),
        linked_share=float(linked.sum() / fits.records),
        review_share=float(asked.sum() / fits.records),
        true_tasks=float(answers.mean()) if asked.any() else 0.0,
    )


def link_threshold(fits: Fits, chances: Calibrators, precision: float) -> float:
    """The lowest weight from which on links are expected to be right so often, and the least one rather than wrong."""
    for link in _GRID:
        found = consequence(fits, chances, float(link), float(link))
        if found.precision >= precision and found.at_link >= _EVEN:
            return float(link)
    return float(_GRID[-1])


def review_threshold(fits: Fits, chances: Calibrators, link: float, share: float) -> float:
    """The lowest weight from which on no larger share of the records is asked about; the link threshold at the most."""
    for review in _GRID[link >= _GRID]:
        if consequence(fits, chances, link, float(review)).review_share <= share:
            return float(review)
    return link
