import pytest

from bench.statistics import Spread, change, percentile


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, 1), (0.5, 5), (0.51, 6), (0.95, 10), (0.99, 10), (1.0, 10)],
)
def test_a_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(
    share: float, expected: int
) -> None:
    assert percentile([10, 3, 1, 2, 5, 4, 9, 8, 7, 6], share) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert {percentile([7.5], share) for share in (0.0, 0.5, 0.99, 1.0)} == {7.5}


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 1.1), ([1.0], -0.1)])
def test_a_percentile_of_nothing_or_beyond_everything_is_refused(
    values: list[float], share: float
) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


def test_a_spread_is_the_median_between_the_extremes() -> None:
    assert Spread.of([3.0, 9.0, 1.0]) == Spread(median=3.0, low=1.0, high=9.0, rounds=3)
    assert Spread.of([2.0, 4.0]).median == 3.0


def test_a_spread_needs_a_round() -> None:
    with pytest.raises(ValueError, match="round"):
        Spread.of([])


def test_a_change_is_a_share_of_what_was() -> None:
    assert change(12.0, 10.0) == pytest.approx(0.2)
    assert change(-3.0, -2.0) == pytest.approx(-0.5)
    assert change(1.0, 0.0) is None
