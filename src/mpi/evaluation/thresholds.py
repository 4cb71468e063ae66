"""Thresholds from what people want of them: how right links shall be, and how many questions there may be.

Records of the index are decided anew, as in :mod:`mpi.evaluation.rehearsal`, by the model with these thresholds in
place of its own: links and tasks are counted, not derived from weights, so that ``mpi model try`` of the kept model
finds the same. Weights and what judgements make of them only say how likely each link and each task is to be a match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from mpi.evaluation.calibration import Calibrators, Numbers
from mpi.evaluation.rehearsal import Scene, asks, scenes
from mpi.evaluation.trial import Step
from mpi.matching.decision import MOST_CANDIDATES, NOT_SAME, Decision, Outcome
from mpi.matching.model import Model
from mpi.ports import IndexStore

_EVEN = 0.5

_APART = 0.25
_GRID = np.arange(-8.0, 32.25, _APART)
"""Weights that are tried as thresholds, in bits."""

_NEVER = -np.inf


@dataclass(frozen=True, slots=True)
class Sample:
    """Records of the index, without those that no thresholds link or ask about: these are only counted.

    ``certain`` has, for each of the N scenes, the weight of the best person without a veto: up to there a link
    threshold lets it be linked by weight. -inf: never, or a human has said who it is.
    """

    records: int  # looked at, N or more
    index_size: int
    scenes: tuple[Scene, ...]  # (N,)
    certain: Numbers  # (N,)


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a pair of thresholds gives on the index. Shares are of all records that were looked at.

    A record that is linked while a second person is as certain is a task as well, and so counts as both.
    """

    link: float
    review: float
    precision: float  # expected, of the links that no human has ordered
    at_link: float  # expected, of a link that just reaches the threshold
    linked_share: float
    review_share: float
    true_tasks: float  # expected share of the tasks of which a person asked about is the record's


async def sample(store: IndexStore, model: Model, most: int, seed: int, step: Step) -> Sample:
    """What thresholds are chosen by: at most so many records, each among everybody else of the index."""
    floor = min(float(_GRID[0]), model.thresholds.review)
    widest = with_limits(model, floor, floor)
    kept, certain = [], []
    records = size = 0
    async for scene in scenes(store, most, seed, step):
        records, size = records + 1, scene.index_size
        decision = scene.decision(widest)
        if decision.outcome is not Outcome.NEW:
            kept.append(_small(scene, decision))
            certain.append(_certain(decision))
    return Sample(records, size, tuple(kept), np.array(certain))


def _small(scene: Scene, decision: Decision) -> Scene:
    """The scene without persons that no thresholds bring into play: it is kept, and decided several times."""
    shown = {each.mpi_id for each in decision.candidates}
    if len(shown) >= MOST_CANDIDATES:
        return scene  # there may be more
    return replace(scene, persons=tuple(p for p in scene.persons if p.mpi_id in shown))


def with_limits(model: Model, link: float, review: float) -> Model:
    """The model with another link and review threshold."""
    return replace(model, thresholds=model.thresholds.between(link, review))


def _certain(decision: Decision) -> float:
    open_ones = [each for each in decision.candidates if NOT_SAME not in each.vetoes]
    if any(each.same_assertion for each in open_ones):
        return _NEVER
    return max((each.weight for each in open_ones if not each.vetoes), default=_NEVER)


def consequence(found: Sample, model: Model, chances: Calibrators, step: Step) -> Consequence:
    """What the thresholds of the model give."""
    limits = model.thresholds
    linked = tasks = 0
    links, questions = [], []
    for _, decision in _decided(
        found.scenes, model, f"at {limits.link:g} and {limits.review:g}", step
    ):
        if decision.outcome is Outcome.LINK and decision.best is not None:
            linked += 1
            links += [decision.best.weight] * (not decision.best.same_assertion)
        if asks(decision):
            tasks += 1
            questions.append(_question(decision))
    right = chances.links.probabilities(np.array(links))
    # A veto forbids to link unseen; what it asks about is a match as often as anything of that weight.
    answers = chances.tasks.probabilities(np.array(questions))
    return Consequence(
        link=limits.link,
        review=limits.review,
        precision=float(right.mean()) if links else 1.0,
        at_link=_at(limits.link, chances),
        linked_share=linked / max(found.records, 1),
        review_share=tasks / max(found.records, 1),
        true_tasks=float(answers.mean()) if tasks else 0.0,
    )


def _question(decision: Decision) -> float:
    """The weight of the likeliest person that a steward is asked about; where it joins one, of the likeliest other."""
    joined = decision.mpi_id if decision.outcome is Outcome.LINK else None
    named = {*decision.review} - {joined}
    return max((s.question for s in decision.candidates if s.mpi_id in named), default=0.0)


def _at(link: float, chances: Calibrators) -> float:
    return float(chances.links.probabilities(np.array([link]))[0])


def _decided(
    chosen: Iterable[Scene], model: Model, name: str, step: Step
) -> Iterator[tuple[Scene, Decision]]:
    every = tuple(chosen)
    for done, scene in enumerate(every, start=1):
        yield scene, scene.decision(model)
        step(name, done, len(every))


def propose(
    found: Sample, model: Model, chances: Calibrators, precision: float, share: float, step: Step
) -> Consequence:
    """The thresholds that link most, and then ask most, while they keep both wishes as far as any can."""
    link = link_threshold(found, model, chances, precision, step)
    review = review_threshold(found, model, link, share, step)
    while True:
        given = consequence(found, with_limits(model, link, review), chances, step)
        # The search takes for granted that a lower threshold asks more. That holds unless one has to push down
        # the model's limit of what is impossible; counting everything settles it.
        if given.review_share <= share or review >= link:
            return given
        review = min(review + _APART, link)


def link_threshold(
    found: Sample, model: Model, chances: Calibrators, precision: float, step: Step
) -> float:
    """The lowest weight from which on links are expected to be right so often, and the least one rather than wrong."""
    probable = chances.links.probabilities(found.certain)
    for link in _GRID.tolist():
        by_weight = probable[found.certain >= link]
        if _at(link, chances) < _EVEN or (len(by_weight) and by_weight.mean() < precision):
            continue
        # Weights know nothing of records that two persons fit equally well: those are asked about.
        limited = with_limits(model, link, link)
        if consequence(found, limited, chances, step).precision >= precision:
            return float(link)
    return float(_GRID[-1])


def review_threshold(found: Sample, model: Model, link: float, share: float, step: Step) -> float:
    """The lowest weight from which on no larger share of the records is asked about; the link threshold at the most.

    What a higher threshold asks about a lower one asks about as well, so each try leaves fewer records to decide.
    """

    def asked(chosen: Iterable[Scene], review: float) -> dict[int, Scene]:
        limited, name = with_limits(model, link, review), f"review from {review:g}"
        decided = _decided(chosen, limited, name, step)
        return {id(scene): scene for scene, decision in decided if asks(decision)}

    grid = _GRID[link >= _GRID].tolist()
    always, ever = asked(found.scenes, link), asked(found.scenes, grid[0])
    if len(always) > share * found.records:
        return link
    count, doubtful = len(always), [s for name, s in ever.items() if name not in always]
    low, high = 0, len(grid) - 1
    while low < high:
        middle = (low + high) // 2
        more = asked(doubtful, grid[middle])
        if count + len(more) <= share * found.records:
            high, count = middle, count + len(more)
            doubtful = [each for each in doubtful if id(each) not in more]
        else:
            low, doubtful = middle + 1, list(more.values())
    return float(grid[high])
