"""Writes of one process that wait for their turn, and the task that serves them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

W = TypeVar("W")
R = TypeVar("R")


@dataclass(slots=True)
class Waiting(Generic[W, R]):
    """``what`` is to be written; ``done`` is told what became of it."""

    what: W
    done: asyncio.Future[R]

    def answer(self, outcome: R | BaseException) -> None:
        """Let the one who waits go on with the result, or raise the error there."""
        if self.done.done():
            return  # whoever waited has gone away
        if isinstance(outcome, BaseException):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)


class WaitingRoom(Generic[W, R]):
    """``serve`` answers some of those who wait; it is called until nobody does.

    In a task of its own: whoever is cancelled takes nobody along.
    """

    def __init__(self, serve: Callable[[], Awaitable[None]]) -> None:
        self._serve = serve
        self._waiting: list[Waiting[W, R]] = []
        self._serving: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, what: W) -> R:
        """What becomes of a write."""
        waiting = Waiting[W, R](what, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._work())
        return await waiting.done

    async def _work(self) -> None:
        while self._waiting:
            await self._serve()

    def leave(self, most: int) -> list[Waiting[W, R]]:
        """The first of them, whom the caller answers; without those who have gone away."""
        leaving, self._waiting = self._waiting[:most], self._waiting[most:]
        return [waiting for waiting in leaving if not waiting.done.done()]

    def come_back(self, waiting: Sequence[Waiting[W, R]]) -> None:
        """They are the first again."""
        self._waiting[:0] = waiting
