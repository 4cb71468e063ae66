"""Ends requests that take too long, with one timer for all of them.

A timer of its own for each request costs more than finding a cached answer does.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

_TICKS = 10
"""Looks per time allowed: a request ends at most one of them late."""


class Deadlines:
    """Gives every task ``seconds``; the time of each counts from its start, or its last restart."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # All have the same time, so the order of starting is the order of ending.
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task when its time is over; a task that runs already gets its whole time anew."""
        self._ends.pop(task, None)
        self._ends[task] = monotonic() + self._seconds
        if self._timer is None:
            self._timer = self._next_look()

    def release(self, task: asyncio.Task[Any]) -> None:
        """The task may take as long as it likes from now on."""
        self._ends.pop(task, None)
        self._expired.discard(task)

    def has_ended(self, task: asyncio.Task[Any]) -> bool:
        """Whether this, and nobody else, cancelled the task; asked once, where it was cancelled."""
        return task in self._expired and task.uncancel() == 0

    def _look(self) -> None:
        now = monotonic()
        for task, ends in tuple(self._ends.items()):
            if ends > now:
                break
            del self._ends[task]
            self._expired.add(task)
            task.cancel()
        self._timer = self._next_look() if self._ends else None

    def _next_look(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._seconds / _TICKS, self._look)
