import math

import numpy as np
import pytest

from mpi.matching.pair_scores import PairScores, calibration

WEIGHTS = np.array([1.0, 9.0, 5.0, 7.0, 5.0, -3.0])
SAME = np.array([False, True, True, True, False, True])
SCORES = PairScores(WEIGHTS, SAME, 5)


def test_recall_counts_pairs_that_were_never_compared() -> None:
    assert SCORES.completeness == 4 / 5
    assert SCORES.at(6).recall == 2 / 5


def test_equal_weights_are_linked_together_or_not_at_all() -> None:
    both = SCORES.at(5)
    assert (both.linked, both.false, both.precision) == (4, 1, 3 / 4)
    assert SCORES.recall_at(0.9) == 2 / 5
    assert SCORES.recall_at(0.75) == 3 / 5


def test_no_threshold_is_precise_enough() -> None:
    worst = PairScores(np.array([3.0, 2.0]), np.array([False, True]), 1)
    assert worst.recall_at(0.999) == 0
    assert worst.recall_at(0.5) == 1


def test_the_best_threshold_has_the_best_f1() -> None:
    best = SCORES.best()
    assert best.f1 == max(SCORES.at(float(weight)).f1 for weight in WEIGHTS)
    assert best.threshold == -3


def test_a_threshold_above_all_weights_links_nothing_and_errs_in_nothing() -> None:
    nothing = SCORES.at(10)
    assert (nothing.linked, nothing.precision, nothing.recall, nothing.f1) == (0, 1, 0, 0)


def test_the_histogram_keeps_what_lies_outside_its_edges() -> None:
    same, other = SCORES.histogram(np.array([0.0, 5.0, 8.0]))
    assert same.tolist() == [1, 3]
    assert other.tolist() == [1, 1]


@pytest.mark.parametrize("total", [0, 3])
def test_less_true_pairs_than_were_found_cannot_be(total: int) -> None:
    with pytest.raises(ValueError, match="true pairs"):
        PairScores(WEIGHTS, SAME, total)


def test_probabilities_that_come_true_as_often_as_they_say_have_no_error() -> None:
    right = calibration(np.full(4, 0.25), np.array([True, False, False, False]))
    assert right.error == 0
    assert [(b.pairs, b.expected, b.observed) for b in right.bins] == [(4, 0.25, 0.25)]


def test_the_calibration_error_is_the_mean_gap_over_doubtful_probabilities() -> None:
    found = calibration(
        np.array([0.001, 0.5, 0.5, 0.95, 0.999, 1.0]),
        np.array([True, True, True, True, True, False]),
    )
    # The first and the last two are outside the doubtful range.
    assert found.error == pytest.approx((0.5 + 0.5 + 0.05) / 3)
    assert (found.sure_pairs, found.sure_observed) == (2, 0.5)


def test_nothing_doubtful_has_no_calibration() -> None:
    found = calibration(np.array([0.0]), np.array([False]))
    assert (found.error, found.sure_observed, found.sure_pairs) == (None, None, 0)


def test_without_pairs_no_threshold_finds_anything() -> None:
    scores = PairScores(np.array([]), np.array([], dtype=bool), 3)
    assert scores.best() == scores.at(math.inf)
    assert (scores.best().linked, scores.best().recall, scores.best().f1) == (0, 0.0, 0.0)
    assert scores.recall_at(0.999) == 0.0
