"""The remote tiers in a row. One that is slow or down is left out at once, and comes back by itself."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from mpi.errors import CacheUnavailable, MpiError
from mpi.ports import CoordinatingCache, KeptAnswer, RemoteCache, Turn
from mpi.resilience import BreakerRule, BreakerState, CircuitBreaker

T = TypeVar("T")

WATCH_SECONDS = 5.0
"""How often every tier is asked for a sign of life."""
_THREE_IN_A_ROW = BreakerRule(share=1, calls=3, latest=3, window=math.inf, pause=1)


class TierObserver(Protocol):
    """Who counts what the tiers do; each is told the tier."""

    def cache_hit(self, tier: str) -> None: ...
    def cache_missed(self, tier: str) -> None: ...
    def cache_skipped(self, tier: str) -> None: ...
    def cache_state(self, tier: str, state: BreakerState) -> None: ...


@dataclass(slots=True)
class _Guarded:
    """A tier behind its deadline (in seconds) and its breaker."""

    cache: RemoteCache
    deadline: float
    ticks: Callable[[], float]
    told: TierObserver
    breaker: CircuitBreaker = field(
        default_factory=lambda: CircuitBreaker(_THREE_IN_A_ROW, patience=1)
    )
    left: set[asyncio.Task[Any]] = field(default_factory=set)

    async def attempt(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The outcome of ``work``. Raises ``CacheUnavailable`` when it fails, takes too long or is not tried."""
        permit = self.breaker.admit(self.ticks())
        if permit is None:
            self.told.cache_skipped(self.cache.tier)
            raise CacheUnavailable("the tier is left out for a while")
        task = asyncio.create_task(work())
        # What takes too long is not broken off: that would cost the connection, and make none in time ever.
        self.left.add(task)
        task.add_done_callback(self._end)
        done, _ = await asyncio.wait((task,), timeout=self.deadline)
        try:
            if not done:
                raise CacheUnavailable("the tier is slow")
            result = task.result()
        except MpiError:
            self.breaker.failed(permit, self.ticks())
            self.told.cache_skipped(self.cache.tier)
            raise CacheUnavailable("the tier does not answer") from None
        else:
            self.breaker.succeeded(permit, self.ticks())
            return result
        finally:
            self.told.cache_state(self.cache.tier, self.breaker.state(self.ticks()))

    def _end(self, task: asyncio.Task[Any]) -> None:
        self.left.discard(task)
        if not task.cancelled():
            task.exception()  # seen: nobody may be waiting any more


@dataclass(frozen=True, slots=True)
class _GuardedTurn:
    turn: Turn
    guard: _Guarded

    async def end(self) -> None:
        """See :class:`mpi.ports.Turn`. One that cannot be given back ends by itself."""
        with suppress(CacheUnavailable):
            await self.guard.attempt(self.turn.end)


class _Alone:
    """The turn of a process that nobody coordinates with others."""

    async def end(self) -> None:
        """Nobody waits for it."""


class TieredCache:
    """See :class:`mpi.ports.SharedAnswers`. ``caches`` are asked in this order; ``turns`` is one of them, or None.

    ``deadline``: seconds after which one is left out. ``ticks``: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        caches: Sequence[RemoteCache],
        turns: CoordinatingCache | None,
        *,
        deadline: float,
        ticks: Callable[[], float],
        told: TierObserver,
    ) -> None:
        self._tiers = tuple(_Guarded(cache, deadline, ticks, told) for cache in caches)
        self._turns = turns
        self._turns_guard = next((tier for tier in self._tiers if tier.cache is turns), None)
        self._told = told

    async def find(
        self, key: bytes, holds: Callable[[KeptAnswer], bool]
    ) -> tuple[str, KeptAnswer] | None:
        """See :class:`mpi.ports.SharedAnswers`. The tiers before the one that had it get it too."""
        for number, tier in enumerate(self._tiers):
            with suppress(CacheUnavailable):
                answer = await tier.attempt(partial(tier.cache.get, key))
                if answer is not None and holds(answer):
                    self._told.cache_hit(tier.cache.tier)
                    await self._put(self._tiers[:number], key, answer)
                    return tier.cache.tier, answer
                self._told.cache_missed(tier.cache.tier)
        return None

    async def keep(self, key: bytes, answer: KeptAnswer) -> None:
        """See :class:`mpi.ports.SharedAnswers`."""
        await self._put(self._tiers, key, answer)

    async def take_turn(self, key: bytes) -> Turn | None:
        """See :class:`mpi.ports.SharedAnswers`. While nobody coordinates, everybody has the turn."""
        if self._turns is None or self._turns_guard is None:
            return _Alone()
        try:
            turn = await self._turns_guard.attempt(partial(self._turns.take, key))
        except CacheUnavailable:
            return _Alone()
        return None if turn is None else _GuardedTurn(turn, self._turns_guard)

    async def start(self) -> tuple[str, ...]:
        """Sentences about tiers that do not answer now: without them everything is slower, nothing is wrong.

        Raises:
            ConfigurationError: a tier is never going to work as it is configured.
        """
        problems = []
        for tier in self._tiers:
            try:
                await tier.cache.check()
            except CacheUnavailable as problem:
                problems.append(problem.detail)
        return tuple(problems)

    async def watch(self) -> None:
        """Ask every tier for a sign of life now and then, for ever: without that, only traffic tells how it is."""
        while True:
            for tier in self._tiers:
                with suppress(CacheUnavailable):
                    await tier.attempt(tier.cache.check)
            await asyncio.sleep(WATCH_SECONDS)

    @property
    def checks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """By tier, what asks it for a sign of life and raises an ``MpiError`` when it gives none."""
        return {tier.cache.tier: tier.cache.check for tier in self._tiers}

    async def close(self) -> None:
        """Let go of all connections, and of what is still waiting on them."""
        for tier in self._tiers:
            left = tuple(tier.left)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            with suppress(MpiError):
                await tier.cache.close()

    async def _put(self, tiers: Sequence[_Guarded], key: bytes, answer: KeptAnswer) -> None:
        async def put(tier: _Guarded) -> None:
            with suppress(CacheUnavailable):
                await tier.attempt(partial(tier.cache.put, key, answer))

        await asyncio.gather(*map(put, tiers))
