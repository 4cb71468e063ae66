"""Thresholds from precision and workload, on weights whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from mpi.evaluation.thresholds import (
    FEWEST_JUDGED,
    Calibrator,
    Fits,
    calibrated,
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
    link = link_threshold(fits(), Calibrator(), precision)
    true = CHANCE.random(len(WEIGHTS)) < Calibrator().probabilities(WEIGHTS)
    assert true[link <= WEIGHTS].mean() >= precision - 0.001
    lower = consequence(fits(), Calibrator(), link - 0.25, link - 0.25)
    assert lower.precision < precision or lower.at_link < 0.5


@pytest.mark.parametrize("share", [0.01, 0.05])
def test_no_more_is_asked_than_was_allowed(share: float) -> None:
    found = fits(vetoed=0.005)
    link = link_threshold(found, Calibrator(), 0.9999)
    review = review_threshold(found, Calibrator(), link, share)
    assert consequence(found, Calibrator(), link, review).review_share <= share
    assert consequence(found, Calibrator(), link, review - 0.25).review_share > share


def test_where_vetoes_alone_are_too_many_only_they_are_asked_about() -> None:
    found = fits(vetoed=0.5)
    assert review_threshold(found, Calibrator(), 5.0, 0.001) == 5.0


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
