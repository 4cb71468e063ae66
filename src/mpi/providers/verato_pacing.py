"""Whose turn it is to call Verato: never more than the limit, people who wait before work that can."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mpi.domain.errand import Lane
from mpi.resilience import TokenBucket


class NoTurn(Exception):
    """It would not be the caller's turn in time."""


class Pacer:
    """Grants turns at the bucket's rate, at most ``concurrency`` of them at once. Belongs to one event loop."""

    def __init__(self, bucket: TokenBucket, concurrency: int, clock: Callable[[], float]) -> None:
        self._bucket = bucket
        self._free = concurrency
        self._clock = clock
        self._lanes: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many are waiting for their turn."""
        return sum(len(lane) for lane in self._lanes.values())

    @property
    def rate(self) -> float:
        """Calls a second that are made at most, now."""
        return self._bucket.rate(self._clock())

    @asynccontextmanager
    async def turn(self, lane: Lane, patience: float) -> AsyncIterator[None]:
        """Inside the block the caller may make one call.

        Raises ``NoTurn`` when it is not its turn within ``patience`` seconds; at once where that can be foreseen, so
        that no crowd gathers that cannot be served.
        """
        if self._ahead(lane) / self.rate > patience:
            raise NoTurn
        granted = asyncio.get_running_loop().create_future()
        self._lanes[lane].append(granted)
        self._serve()
        served = False
        try:
            async with asyncio.timeout(patience):
                await granted
            served = True
        except TimeoutError:
            raise NoTurn from None
        finally:
            if not served:
                self._give_up(lane, granted)
        try:
            yield
        finally:
            self._free += 1
            self._serve()

    def slow_down(self, pause: float) -> None:
        """Verato has said that it is too much: wait, then go on at half the rate and recover slowly."""
        self._bucket.slow_down(self._clock(), pause)

    def _ahead(self, lane: Lane) -> int:
        return sum(len(queue) for before, queue in self._lanes.items() if before <= lane)

    def _give_up(self, lane: Lane, granted: asyncio.Future[None]) -> None:
        """Leave the queue; a turn that came at the very moment goes to the next."""
        if granted in self._lanes[lane]:
            self._lanes[lane].remove(granted)
        elif not granted.cancelled():
            self._free += 1
            self._serve()

    def _serve(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        for queue in self._lanes.values():
            while queue and self._free > 0:
                if queue[0].done():
                    queue.popleft()
                    continue
                wait = self._bucket.take(self._clock())
                if wait > 0:
                    self._alarm = asyncio.get_running_loop().call_later(wait, self._serve)
                    return
                self._free -= 1
                queue.popleft().set_result(None)
