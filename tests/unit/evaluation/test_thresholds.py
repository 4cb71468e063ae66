"""Thresholds from precision and workload, on weights whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from mpi.evaluation.calibration import FEWEST_JUDGED, Calibrator, Calibrators, calibrated
from mpi.evaluation.thresholds import (
    Fits,
    consequence,
    link_threshold,
    review_threshold,
)

CHANCE = np.random.default_rng(5)
WEIGHTS = CHANCE.uniform(-10, 20, 20_000)


def judged(slope: float, offset: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of doubtful pairs, and answers that come true as the calibrator of that slope and offset says."""
    weights = CHANCE.uniform(-6, 6, count)
    chances = Calibrator(slope, offset).probabilities(weights)
    return weights, CHANCE.random(count) < chances


def fits(vetoed: float = 0.0) -> Fits:
    return Fits(40_000, 40_000, WEIGHTS, WEIGHTS, CHANCE.random(len(WEIGHTS)) < vetoed)


@pytest.mark.parametrize("precision", [0.99, 0.999, 0.9999])
def test_links_come_true_as_often_as_was_asked_for(precision: float) -> None:
    link = link_threshold(fits(), Calibrators(), precision)
    true = CHANCE.random(len(WEIGHTS)) < Calibrator().probabilities(WEIGHTS)
    assert true[link <= WEIGHTS].mean() >= precision - 0.001
    lower = consequence(fits(), Calibrators(), link - 0.25, link - 0.25)
    assert lower.precision < precision or lower.at_link < 0.5


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_no_more_is_asked_than_was_allowed(share: float) -> None:
    found = fits(vetoed=0.005)
    link = link_threshold(found, Calibrators(), 0.9999)
    review = review_threshold(found, Calibrators(), link, share)
    assert consequence(found, Calibrators(), link, review).review_share <= share
    assert consequence(found, Calibrators(), link, review - 0.25).review_share > share


def test_tasks_are_a_match_as_often_as_is_told_with_a_veto_or_without() -> None:
    found = fits(vetoed=0.5)
    told = consequence(found, Calibrators(), link=5.0, review=0.0)
    asked = (WEIGHTS >= 0.0) & (found.vetoed | (WEIGHTS < 5.0))
    true = CHANCE.random(len(WEIGHTS)) < Calibrator().probabilities(WEIGHTS)
    assert told.true_tasks == pytest.approx(true[asked].mean(), abs=0.02)


def test_tasks_are_believed_by_what_they_ask_and_links_by_what_they_weigh() -> None:
    weights, questions = np.array([8.0, 1.0]), np.array([9.0, 6.0])
    found = Fits(2, 2, weights, questions, np.zeros(2, dtype=bool))
    told = consequence(found, Calibrators(tasks=Calibrator(slope=0.5)), link=5.0, review=0.0)
    assert told.precision == pytest.approx(1 / (1 + 2**-8))
    assert told.true_tasks == pytest.approx(1 / (1 + 2**-3))


def test_where_vetoes_alone_are_too_many_only_they_are_asked_about() -> None:
    found = fits(vetoed=0.5)
    assert review_threshold(found, Calibrators(), 5.0, 0.001) == 5.0


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
