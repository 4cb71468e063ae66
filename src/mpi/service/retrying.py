"""Trying again what came too late: a change is decided on what others may have changed before it is written."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from mpi.errors import ConcurrentChange, MpiError

T = TypeVar("T")

_TRIES = 50
_LONGEST_PAUSE_S = 0.02
_LONGEST_WAIT_FOR_TURN_S = 5.0


class Retrying:
    """Repeats attempts that came too late. ``conflict`` is told whenever one is repeated.

    They are repeated one by one: side by side each would be late again because of another, and n registrations of one
    patient would be decided n² times. Nobody waits for a turn for ever, as whoever has it may ask an outside provider.
    What happens within a group of changes needs a ``Retrying`` of its own: whoever has the turn waits for the group.
    """

    def __init__(self, conflict: Callable[[], None]) -> None:
        self._conflict = conflict
        self._turn = asyncio.Lock()

    async def run(
        self,
        attempt: Callable[[], Awaitable[T]],
        late: tuple[type[MpiError], ...] = (ConcurrentChange,),
    ) -> T:
        """What the first attempt in time returns. Raises the error of the last one when all of them were ``late``."""
        try:
            return await attempt()
        except late:
            self._conflict()
        async with self._in_turn():
            for _ in range(_TRIES - 1):
                try:
                    return await attempt()
                except late:
                    self._conflict()
                pause_s = random.uniform(0, _LONGEST_PAUSE_S)  # noqa: S311 - spreads the processes
                await asyncio.sleep(pause_s)
            return await attempt()

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_LONGEST_WAIT_FOR_TURN_S):
                await self._turn.acquire()
        except TimeoutError:
            yield
            return
        try:
            yield
        finally:
            self._turn.release()
