from rich.progress import Progress

from bench.progress import part, time_left


def test_the_expectation_stands_until_something_is_done() -> None:
    assert time_left(expected=600, completed=0, took=0) == 600


def test_the_pace_so_far_counts_for_the_rest() -> None:
    assert time_left(expected=600, completed=200, took=400) == 800


def test_the_time_left_falls_while_a_part_is_under_way() -> None:
    assert time_left(expected=600, completed=200, took=400, since=30, part=50) == 770


def test_a_late_part_takes_no_time_from_the_others() -> None:
    assert time_left(expected=600, completed=200, took=400, since=5_000, part=50) == 700


def test_nothing_is_left_at_the_end() -> None:
    assert time_left(expected=600, completed=610, took=500) == 0


def test_a_part_that_is_done_remembers_when_that_was() -> None:
    now = iter(range(100))
    progress = Progress(get_time=lambda: next(now))
    task = progress.add_task("", total=10, label="")
    with part(progress, task, "latency", 4):
        assert progress.tasks[task].fields["label"] == "latency"
        assert progress.tasks[task].completed == 0
    assert progress.tasks[task].completed == 4
    assert progress.tasks[task].fields["took"] > 0
