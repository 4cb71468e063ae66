"""The bar of a run: what is being measured, and about how long everything else takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

_SETTLED = 0.05


def time_left(
    expected: float, completed: float, took: float, since: float = 0.0, part: float = 0.0
) -> float:
    """Seconds that are left of ``expected`` ones, when ``completed`` of them took ``took``.

    A part that should take ``part`` is under way for ``since`` seconds; however late it is, the others still take their
    time. Until a twentieth is done the expectation stands as it is.
    """
    pace = took / completed if completed > _SETTLED * expected else 1.0
    return max(0.0, (expected - completed) * pace - min(since, part * pace))


class _TimeLeft(ProgressColumn):
    """Counts from the first second on, because the total is an expected time."""

    def render(self, task: Task) -> Text:
        elapsed = task.elapsed or 0.0
        took = task.fields.get("took", elapsed)
        part = task.fields.get("part", 0.0)
        left = time_left(task.total or 0.0, task.completed, took, elapsed - took, part)
        return Text(f"{int(left) // 60}:{int(left) % 60:02d} left")


@contextmanager
def part(progress: Progress, task: TaskID, label: str, seconds: float) -> Iterator[None]:
    """A part of the task that is expected to take so many seconds."""
    progress.update(task, label=label, part=seconds)
    yield
    now = progress.tasks[task].elapsed or 0.0
    progress.update(task, advance=seconds, took=now, part=0.0)


def bar() -> Progress:
    """A bar on standard error whose total is in seconds; silent where that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        BarColumn(20),
        TimeElapsedColumn(),
        _TimeLeft(),
        TextColumn("{task.fields[label]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        refresh_per_second=2,
    )
