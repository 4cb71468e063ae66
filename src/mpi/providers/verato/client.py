"""Calls to Verato: paced, bounded in time, repeated where that is safe, and ended by the breaker when it is down."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from mpi.domain.errand import Lane
from mpi.errors import CacheUnavailable, StoreUnavailable
from mpi.ports.elsewhere import SharedPace
from mpi.providers.verato.access import Access
from mpi.providers.verato.budget import Budget
from mpi.providers.verato.outcome import CONSEQUENCES, BreakerSignal, CallOutcome, Reason
from mpi.providers.verato.pacing import NoTurn, OwnShare, Pacer, SharedLimit
from mpi.providers.verato.payload import Content, Reply
from mpi.providers.verato.transport import Operation, Timeouts, Transport
from mpi.resilience import (
    BreakerRule,
    BreakerState,
    CircuitBreaker,
    Permit,
    TokenBucket,
)

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 2.0
_THROTTLED_WAIT_S = 1.0

_NOBODY_ASKED = (Reason.BREAKER_OPEN, Reason.OWN_LIMIT, Reason.RATE_LIMIT, Reason.BUDGET_SPENT)
"""Says of what was not sent why it was not. What the attempt before it met with is what has to be mended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``tps`` is this process's share, ``start`` what it begins with, ``ramp`` what it may gain per minute."""

    tps: float = 8.0
    start: float = 8.0
    ramp: float = 2.0
    concurrency: int = 8
    connections: int = 100
    retries: int = 2


REAL_TIME, BATCH = Timeouts(2, 5, 8), Timeouts(2, 30, 60)
LIMITS = Limits()
BREAKER = BreakerRule(share=0.5, calls=20, window=30.0, pause=30.0, probes=3)
"""Rejected credentials open it for longer each time they are rejected again: insisting locks the account."""


@dataclass(frozen=True, slots=True)
class CallReport:
    """One call as metrics see it: no ids, no content. ``breaker`` and ``waiting`` (calls) are as it left them.

    ``at`` is when it ended, on the clock of :func:`time.monotonic`.
    """

    operation: str
    outcome: CallOutcome
    reason: Reason
    seconds: float
    attempts: int
    breaker: BreakerState
    waiting: int
    at: float


class VeratoClient:
    """One pool of connections to one customer's Verato. Belongs to one event loop; :meth:`close` it there.

    ``pace`` is what all processes together may call, if they can tell each other; ``report`` is told of every call.
    No method raises for what Verato does or fails to do: the outcome says it. ``StoreUnavailable`` says that calls
    could not be counted.
    """

    def __init__(
        self,
        access: Access,
        *,
        version: str = "v1",
        real_time: Timeouts = REAL_TIME,
        batch: Timeouts = BATCH,
        limits: Limits = LIMITS,
        breaker: BreakerRule = BREAKER,
        overlay: str = r"(?i)overlay",
        budget: Budget | None = None,
        pace: SharedPace | None = None,
        report: Callable[[CallReport], None] = lambda _: None,
    ) -> None:
        self.access = access
        self._timeouts = {Lane.REAL_TIME: real_time, Lane.BATCH: batch}
        self._retries = limits.retries
        self._budget = budget
        self._report = report
        self._pace = pace
        bucket = TokenBucket(most=limits.tps, start=limits.start, ramp=limits.ramp, now=monotonic())
        share = OwnShare(bucket, monotonic)
        allowance = share if pace is None else SharedLimit(pace, share, monotonic)
        self.pacer = Pacer(allowance, limits.concurrency)
        self.trouble = Reason.NONE
        """Why a call failed last, which is why the breaker is open when it is."""
        self.latest: CallReport | None = None
        self._paused_until = 0.0
        self._breaker = CircuitBreaker(breaker, patience=batch.total)
        self._transport = Transport(
            access,
            version=version,
            overlay=overlay,
            connections=limits.connections,
            kept=limits.concurrency,
        )

    async def close(self) -> None:
        """Let go of the connections, and of calls that were reserved."""
        await self._transport.close()
        if self._budget is not None:
            with suppress(StoreUnavailable):  # what cannot be returned is forfeited, as by a crash
                await self._budget.close()
        if self._pace is not None:
            with suppress(CacheUnavailable):  # a server that is away has nothing to be let go of
                await self._pace.close()

    @property
    def monthly(self) -> int | None:
        """How many calls a month may cost; None without a limit."""
        return None if self._budget is None else self._budget.most

    @property
    def breaker_state(self) -> BreakerState:
        return self._breaker.state(monotonic())

    @property
    def retry_after(self) -> float:
        """Seconds until another attempt makes sense."""
        now = monotonic()
        return max(self._breaker.remaining(now), self._paused_until - now)

    async def read(
        self,
        operation: Operation,
        content: Content,
        lane: Lane = Lane.REAL_TIME,
        *,
        within: float = math.inf,
    ) -> Reply:
        """Ask something. Safe to repeat, so it is repeated as often as its outcome allows.

        ``within``: seconds after which nobody waits for the answer, where the lane would allow more.
        """
        return await self._reported(operation, content, None, lane, within)

    async def write(
        self,
        operation: Operation,
        content: Content,
        check: Check,
        lane: Lane = Lane.REAL_TIME,
        *,
        within: float = math.inf,
    ) -> Reply:
        """Change something, once: where it may have taken effect, ``check`` looks before it is asked for again.

        ``check`` is handed a way to read within the same deadline, and returns what is to be taken for the answer, or
        None when nothing has taken effect. A check that gets no answer leaves the outcome ``UNKNOWN``.
        """
        return await self._reported(operation, content, check, lane, within)

    async def _reported(
        self,
        operation: Operation,
        content: Content,
        check: Check | None,
        lane: Lane,
        within: float,
    ) -> Reply:
        started = monotonic()
        call = _Call(self, lane, started + min(self._timeouts[lane].total, within))
        reply = await call.repeated(operation, content, check)
        now = monotonic()
        self.latest = CallReport(
            operation.name,
            reply.outcome,
            reply.reason,
            now - started,
            call.attempts,
            self.breaker_state,
            self.pacer.waiting,
            now,
        )
        self._report(self.latest)
        return reply

    async def attempt(
        self, operation: Operation, content: Content, lane: Lane, deadline: float
    ) -> Reply:
        """One request at most, if the budget has one left; what was not sent is not spent."""
        if self._budget is None:
            return await self._attempt(operation, content, lane, deadline)
        if not await self._budget.take():
            return _unsent(CallOutcome.UNAVAILABLE, Reason.BUDGET_SPENT)
        reply = await self._attempt(operation, content, lane, deadline)
        if not reply.sent:
            self._budget.give_back()
        return reply

    async def _attempt(
        self, operation: Operation, content: Content, lane: Lane, deadline: float
    ) -> Reply:
        """Waits for its turn; the breaker and the limit are told how the request ended."""
        permit = self._breaker.admit(monotonic())
        if permit is None:
            return _unsent(CallOutcome.UNAVAILABLE, Reason.BREAKER_OPEN)
        asked_at, is_sent = monotonic(), False
        try:
            async with self.pacer.turn(lane, deadline - monotonic()):
                is_sent = True
                reply = await self._transport.send(
                    operation, content, self._timeouts[lane], deadline - monotonic()
                )
        except asyncio.CancelledError:
            self._breaker.withdrawn(permit)
            if self._budget is not None and not is_sent:
                self._budget.give_back()
            raise
        except NoTurn:
            self._breaker.withdrawn(permit)
            is_paused = asked_at < self._paused_until
            reason = Reason.RATE_LIMIT if is_paused else Reason.OWN_LIMIT
            return _unsent(CallOutcome.THROTTLED, reason)
        self._learn(permit, reply)
        if reply.outcome is CallOutcome.THROTTLED:
            await self._pause(reply.retry_after or _THROTTLED_WAIT_S)
        return reply

    def _learn(self, permit: Permit, reply: Reply) -> None:
        now = monotonic()
        signal = CONSEQUENCES[reply.outcome].breaker
        if signal is BreakerSignal.WELL:
            self._breaker.succeeded(permit, now)
        elif signal is BreakerSignal.FAILED:
            self._breaker.failed(permit, now)
            if not self._breaker.is_tripped:  # else it would hide what has to be mended
                self.trouble = reply.reason
        elif signal is BreakerSignal.TRIP:
            self._breaker.trip(permit, now)
            self.trouble = reply.reason
        else:
            self._breaker.withdrawn(permit)

    async def _pause(self, seconds: float) -> None:
        """Verato wants to be left alone for a while."""
        self._paused_until = max(self._paused_until, monotonic() + seconds)
        await self.pacer.slow_down(seconds)

    def retries(self, outcome: CallOutcome) -> int:
        """How often a call that ended so may be repeated."""
        return min(self._retries, CONSEQUENCES[outcome].retries)


class _Call:
    """One call with everything that belongs to it: repetitions, waits between them, checks."""

    def __init__(self, client: VeratoClient, lane: Lane, deadline: float) -> None:
        self._client = client
        self._lane = lane
        self._deadline = deadline
        self.attempts = 0

    async def repeated(
        self, operation: Operation, content: Content, check: Check | None = None
    ) -> Reply:
        """Ask until there is an answer, or a ``check`` finds what was written, or no repetition is left."""
        heard: Reply | None = None
        repetition = 0
        while True:
            reply = await self._once(operation, content)
            if heard is not None and _nobody_was_asked(reply):
                return heard
            if check is not None and _may_have_taken_effect(reply):
                found = await check(self.repeated)
                if found is not None:
                    return found
            last = repetition >= self._client.retries(reply.outcome)
            if last or not await self._waited(reply, repetition):
                return reply
            heard = reply
            repetition += 1

    async def _once(self, operation: Operation, content: Content) -> Reply:
        reply = await self._client.attempt(operation, content, self._lane, self._deadline)
        self.attempts += reply.sent
        return reply

    async def _waited(self, reply: Reply, repetition: int) -> bool:
        """Wait before a repetition, with full jitter; False when the deadline would pass or nobody may be asked."""
        if _nobody_was_asked(reply):
            return False
        longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**repetition)
        wait = random.uniform(0, longest)  # noqa: S311 - spreads retries
        if reply.outcome is CallOutcome.THROTTLED:
            wait += reply.retry_after or _THROTTLED_WAIT_S
        if monotonic() + wait >= self._deadline:
            return False
        await asyncio.sleep(wait)
        return True


Ask = Callable[[Operation, Content], Awaitable[Reply]]
"""Reads within the deadline of the write that is being checked."""

Check = Callable[[Ask], Awaitable[Reply | None]]
"""Looks whether a write has taken effect; see :meth:`VeratoClient.write`."""


def _may_have_taken_effect(reply: Reply) -> bool:
    """Whether a write without an answer may have been carried out. Excess requests are not processed, nor
    those of strangers or to nowhere."""
    has_failed = CONSEQUENCES[reply.outcome].breaker is BreakerSignal.FAILED
    return reply.sent and has_failed and reply.outcome is not CallOutcome.CONFIG_ERROR


def _nobody_was_asked(reply: Reply) -> bool:
    return not reply.sent and reply.reason in _NOBODY_ASKED


def _unsent(outcome: CallOutcome, reason: Reason) -> Reply:
    return Reply(outcome, reason, sent=False)
