"""Thresholds from precision and workload, on weights whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from mpi.evaluation.calibration import (
    FEWEST_JUDGED,
    Calibrator,
    Calibrators,
    Numbers,
    calibrated,
)
from mpi.evaluation.rehearsal import Scene
from mpi.evaluation.thresholds import (
    Consequence,
    Sample,
    consequence,
    link_threshold,
    propose,
    review_threshold,
    with_limits,
)
from mpi.matching.decision import Decision, Grade, Outcome, ScoredPerson
from mpi.matching.model import Model, load_default_model
from mpi.matching.record import StandardRecord
from tests.support.matching import stored

CHANCE = np.random.default_rng(5)
WEIGHTS = CHANCE.uniform(-8, 20, 4_000)
RECORDS = 8_000
MODEL = load_default_model()


@dataclass(frozen=True, slots=True)
class OfOne(Scene):
    """A record that only one person may be; how well that fits is given."""

    weight: float = 0.0
    question: float = 0.0
    vetoed: bool = False

    def decision(self, model: Model) -> Decision:
        vetoes = ("sex",) if self.vetoed else ()
        found = ScoredPerson("P", self.weight, self.question, 0.5, Grade.POSSIBLE, vetoes)
        if self.weight >= model.thresholds.link and not vetoes:
            return Decision(Outcome.LINK, "P", found, (found,))
        if self.question >= model.thresholds.review:
            return Decision(Outcome.REVIEW, None, found, (found,), (), ("P",), "uncertain")
        return Decision(Outcome.NEW, None, found, (found,))


def of(weights: Numbers, questions: Numbers, vetoed: np.ndarray, records: int) -> Sample:
    record = stored("1", StandardRecord())
    every = zip(weights.tolist(), questions.tolist(), vetoed.tolist(), strict=True)
    scenes = tuple(OfOne(record, (), (), records, *each) for each in every)
    return Sample(records, records, scenes, np.where(vetoed, -np.inf, weights))


def judged(slope: float, offset: float, count: int) -> tuple[Numbers, np.ndarray]:
    """Weights of doubtful pairs, and answers that come true as the calibrator of that slope and offset says."""
    weights = CHANCE.uniform(-6, 6, count)
    chances = Calibrator(slope, offset).probabilities(weights)
    return weights, CHANCE.random(count) < chances


def fits(vetoed: float = 0.0) -> Sample:
    return of(WEIGHTS, WEIGHTS, CHANCE.random(len(WEIGHTS)) < vetoed, RECORDS)


def given(
    found: Sample, link: float, review: float, chances: Calibrators | None = None
) -> Consequence:
    model = with_limits(MODEL, link, review)
    return consequence(found, model, chances or Calibrators(), lambda *_: None)


def linking(found: Sample, precision: float) -> float:
    return link_threshold(found, MODEL, Calibrators(), precision, lambda *_: None)


def reviewing(found: Sample, link: float, share: float) -> float:
    return review_threshold(found, MODEL, link, share, lambda *_: None)


@pytest.mark.parametrize("precision", [0.99, 0.999, 0.9999])
def test_links_come_true_as_often_as_was_asked_for(precision: float) -> None:
    link = linking(fits(), precision)
    chances = Calibrator().probabilities(WEIGHTS[link <= WEIGHTS])
    assert (CHANCE.random((50, len(chances))) < chances).mean() >= precision - 0.001
    lower = given(fits(), link - 0.25, link - 0.25)
    assert lower.precision < precision or lower.at_link < 0.5


@pytest.mark.parametrize("share", [0.01, 0.05, 0.12])
def test_no_more_is_asked_than_was_allowed(share: float) -> None:
    found = fits(vetoed=0.005)
    link = linking(found, 0.9999)
    review = reviewing(found, link, share)
    assert given(found, link, review).review_share <= share
    assert given(found, link, review - 0.25).review_share > share


def test_where_everything_may_be_asked_everything_is() -> None:
    assert reviewing(fits(vetoed=0.5), 5.0, 1.0) == -8.0


def test_what_is_proposed_keeps_both_wishes() -> None:
    found = fits(vetoed=0.005)
    proposed = propose(found, MODEL, Calibrators(), 0.999, 0.05, lambda *_: None)
    assert proposed.precision >= 0.999
    assert 0.045 < proposed.review_share <= 0.05
    assert proposed == given(found, proposed.link, proposed.review)


def test_nothing_to_count_is_no_error() -> None:
    none = np.array([])
    empty = of(none, none, none.astype(bool), 0)
    proposed = propose(empty, MODEL, Calibrators(), 0.999, 0.05, lambda *_: None)
    assert (proposed.precision, proposed.linked_share, proposed.true_tasks) == (1.0, 0.0, 0.0)


def test_tasks_are_a_match_as_often_as_is_told_with_a_veto_or_without() -> None:
    vetoed = CHANCE.random(len(WEIGHTS)) < 0.5
    told = given(of(WEIGHTS, WEIGHTS, vetoed, RECORDS), link=5.0, review=0.0)
    asked = (WEIGHTS >= 0.0) & (vetoed | (WEIGHTS < 5.0))
    chances = Calibrator().probabilities(WEIGHTS[asked])
    true = CHANCE.random((50, len(chances))) < chances
    assert told.true_tasks == pytest.approx(true.mean(), abs=0.02)


def test_tasks_are_believed_by_what_they_ask_and_links_by_what_they_weigh() -> None:
    found = of(np.array([8.0, 1.0]), np.array([9.0, 6.0]), np.zeros(2, dtype=bool), 2)
    told = given(found, 5.0, 0.0, Calibrators(tasks=Calibrator(slope=0.5)))
    assert told.precision == pytest.approx(1 / (1 + 2**-8))
    assert told.true_tasks == pytest.approx(1 / (1 + 2**-3))


def test_where_vetoes_alone_are_too_many_only_they_are_asked_about() -> None:
    assert reviewing(fits(vetoed=0.5), 5.0, 0.001) == 5.0


def test_limits_below_the_review_threshold_fall_with_it() -> None:
    limits = MODEL.thresholds.between(3.0, MODEL.thresholds.impossible - 5)
    assert limits.impossible == limits.possible == limits.review < limits.link == 3.0
    assert MODEL.thresholds.between(9.0, 1.0).possible == MODEL.thresholds.possible


@pytest.mark.parametrize(("slope", "offset"), [(0.5, -1.0), (1.6, 2.0), (1.0, 0.0)])
def test_judgements_correct_what_weights_claim(slope: float, offset: float) -> None:
    found = calibrated(*judged(slope, offset, 2_000))
    grid = np.linspace(-6, 6, 25)
    wished = Calibrator(slope, offset).probabilities(grid)
    assert np.abs(found.probabilities(grid) - wished).max() < 0.06
    assert found.judged == 2_000


def test_a_few_judgements_correct_nothing() -> None:
    weights = np.linspace(-5, 5, 100)
    same = np.arange(100) < FEWEST_JUDGED - 1
    assert calibrated(weights, same) == Calibrator()


def test_judgements_never_turn_the_weights_round() -> None:
    weights = np.linspace(-5, 5, 200)
    found = calibrated(weights, weights < 0)
    assert (np.diff(found.probabilities(weights)) > 0).all()
