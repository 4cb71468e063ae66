"""Whose turn it is to call Verato: never more than the limit, people who wait before work that can."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import structlog

from mpi.domain.errand import Lane
from mpi.errors import MpiError
from mpi.ports.elsewhere import SharedPace
from mpi.resilience import TokenBucket

log = structlog.get_logger(__name__)

_PATIENCE_S = 0.25
_LEFT_ALONE_S = 5.0


class NoTurn(Exception):
    """It would not be the caller's turn in time."""


class Allowance(Protocol):
    """How often Verato may be called. No method raises."""

    @property
    def rate(self) -> float:
        """Calls a second that are made at most, now."""
        ...

    async def take(self, lane: Lane) -> float:
        """0.0 when a call may be made now, which counts; otherwise the seconds after which to ask again."""
        ...

    async def slow_down(self, pause: float) -> None:
        """Verato has said that it is too much: wait, then go on at half the rate and recover slowly."""
        ...


class OwnShare:
    """What this process may do whatever others do."""

    def __init__(self, bucket: TokenBucket, clock: Callable[[], float]) -> None:
        self._bucket = bucket
        self._clock = clock

    @property
    def rate(self) -> float:
        """See :class:`Allowance`."""
        return self._bucket.rate(self._clock())

    async def take(self, lane: Lane) -> float:
        """See :class:`Allowance`."""
        del lane
        return self._bucket.take(self._clock())

    async def slow_down(self, pause: float) -> None:
        """See :class:`Allowance`."""
        self._bucket.slow_down(self._clock(), pause)


class SharedLimit:
    """What all processes may do together; this one's ``share`` while those cannot be asked."""

    def __init__(self, pace: SharedPace, share: OwnShare, clock: Callable[[], float]) -> None:
        self._pace = pace
        self._share = share
        self._clock = clock
        self._rate = share.rate
        self._away_until: float | None = None

    @property
    def rate(self) -> float:
        """See :class:`Allowance`."""
        return self._share.rate if self._is_away else self._rate

    @property
    def _is_away(self) -> bool:
        return self._away_until is not None and self._clock() < self._away_until

    async def take(self, lane: Lane) -> float:
        """See :class:`Allowance`."""
        if not self._is_away:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    wait, self._rate = await self._pace.take(urgent=lane is Lane.REAL_TIME)
            except (MpiError, TimeoutError):
                self._leave_alone()
            else:
                self._away_until = None
                return wait
        return await self._share.take(lane)

    async def slow_down(self, pause: float) -> None:
        """See :class:`Allowance`: the share too, in case that it is needed next."""
        await self._share.slow_down(pause)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._pace.slow_down(pause)
        except (MpiError, TimeoutError):
            self._leave_alone()

    def _leave_alone(self) -> None:
        if self._away_until is None:
            log.warning("pace_not_shared")
        self._away_until = self._clock() + _LEFT_ALONE_S


class Pacer:
    """Grants turns as the allowance has it, at most ``concurrency`` of them at once. Belongs to one event loop."""

    def __init__(self, allowance: Allowance, concurrency: int) -> None:
        self._allowance = allowance
        self._free = concurrency
        self._lanes: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}
        self._serving: asyncio.Task[None] | None = None
        self._overtaken = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many are waiting for their turn."""
        return sum(len(lane) for lane in self._lanes.values())

    @property
    def rate(self) -> float:
        """Calls a second that are made at most, now."""
        return self._allowance.rate

    @asynccontextmanager
    async def turn(self, lane: Lane, patience: float) -> AsyncIterator[None]:
        """Inside the block the caller may make one call.

        Raises ``NoTurn`` when it is not its turn within ``patience`` seconds; at once where that can be foreseen, so
        that no crowd gathers that cannot be served.
        """
        if self._ahead(lane) / self.rate > patience:
            raise NoTurn
        granted = asyncio.get_running_loop().create_future()
        first = self._first()
        if first is not None and lane < first:
            self._overtaken.set()
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

    async def slow_down(self, pause: float) -> None:
        """Verato has said that it is too much."""
        await self._allowance.slow_down(pause)

    def _ahead(self, lane: Lane) -> int:
        return sum(len(queue) for before, queue in self._lanes.items() if before <= lane)

    def _first(self) -> Lane | None:
        """The lane whose turn is next."""
        for lane, queue in self._lanes.items():
            while queue and queue[0].done():
                queue.popleft()
            if queue:
                return lane
        return None

    def _give_up(self, lane: Lane, granted: asyncio.Future[None]) -> None:
        """Leave the queue; a turn that came at the very moment goes to the next."""
        if granted in self._lanes[lane]:
            self._lanes[lane].remove(granted)
        elif not granted.cancelled():
            self._free += 1
            self._serve()

    def _serve(self) -> None:
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._grant())

    async def _grant(self) -> None:
        """Grant turns until nobody waits, or everything is taken."""
        while self._free > 0 and (lane := self._first()) is not None:
            self._overtaken.clear()
            wait = await self._allowance.take(lane)
            if wait > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._overtaken.wait()
            elif (lane := self._first()) is not None:
                self._free -= 1
                self._lanes[lane].popleft().set_result(None)
