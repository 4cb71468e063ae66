import pytest

from bench.schedule import Schedule


def test_requests_are_spaced_evenly() -> None:
    schedule = Schedule(rate=500, seconds=3)
    assert schedule.count == 1500
    assert [schedule.due(number) for number in (0, 1, 500)] == [0.0, 0.002, 1.0]


def test_a_request_is_due_from_its_time_on_and_not_before() -> None:
    schedule = Schedule(rate=10, seconds=1)
    assert [schedule.due_by(now) for now in (-0.1, 0.0, 0.099, 0.1, 0.55)] == [0, 1, 1, 2, 6]


def test_every_request_is_due_at_its_own_time_whatever_the_rate() -> None:
    for rate in (3, 7, 500, 999, 1000):
        schedule = Schedule(rate, seconds=2)
        for number in range(schedule.count):
            assert schedule.due_by(schedule.due(number)) == number + 1


def test_no_more_requests_are_due_than_there_are() -> None:
    assert Schedule(rate=10, seconds=1).due_by(1000.0) == 10


def test_the_wait_ends_when_the_next_request_is_due() -> None:
    schedule = Schedule(rate=10, seconds=1)
    assert schedule.wait(sent=3, now=0.25) == pytest.approx(0.05)


def test_a_late_request_does_not_wait_and_is_not_skipped() -> None:
    schedule = Schedule(rate=10, seconds=1)
    assert schedule.wait(sent=3, now=0.9) == 0.0
    assert schedule.due(3) == pytest.approx(0.3)


def test_nothing_is_waited_for_when_all_is_sent() -> None:
    assert Schedule(rate=10, seconds=1).wait(sent=10, now=0.2) is None


@pytest.mark.parametrize(("rate", "seconds"), [(0, 1), (-5, 1), (10, 0.05)])
def test_a_schedule_without_a_request_is_refused(rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="schedule"):
        Schedule(rate, seconds)
