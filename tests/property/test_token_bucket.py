"""The token bucket never lets more through than its rate, and recovers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mpi.resilience import TokenBucket

STEPS = st.lists(st.floats(0, 3), min_size=1, max_size=60)


@given(STEPS, st.floats(0.5, 50), st.floats(0, 60), st.lists(st.integers(0, 59), max_size=3))
def test_no_span_of_time_has_more_than_its_share(
    steps: list[float], most: float, ramp: float, throttled: list[int]
) -> None:
    bucket = TokenBucket(most=most, start=most / 2, ramp=ramp, now=0)
    now, taken = 0.0, []
    for number, step in enumerate(steps):
        now += step
        if number in throttled:
            bucket.slow_down(now, 1.0)
        while bucket.take(now) == 0:
            taken.append(now)
    assert all(later - earlier >= 1 / most - 1e-9 for earlier, later in pairwise(taken))


@given(STEPS, st.floats(0.5, 50))
def test_whoever_waits_as_long_as_told_gets_a_turn(steps: list[float], most: float) -> None:
    bucket = TokenBucket(most=most, start=most, ramp=0, now=0)
    now = 0.0
    for step in steps:
        now += step
        wait = bucket.take(now)
        if wait:
            now += wait + 1e-9
            assert bucket.take(now) == 0


def test_it_begins_low_and_gains_what_it_may_per_minute() -> None:
    bucket = TokenBucket(most=50, start=10, ramp=2, now=0)
    assert [bucket.rate(minute * 60) for minute in (0, 1, 5, 20, 60)] == [10, 12, 20, 50, 50]


def test_it_recovers_after_it_was_told_to_slow_down() -> None:
    bucket = TokenBucket(most=8, start=8, ramp=2, now=0)
    bucket.slow_down(100, 1)
    assert bucket.take(100.5) == 0.5
    assert [bucket.rate(100 + 60 * minute) for minute in (0, 1, 2, 9)] == [4, 6, 8, 8]
