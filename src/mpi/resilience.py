"""What keeps a broken dependency from slowing everything down. Pure: the caller passes the time, in seconds."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

FIRST_REST_S, LONGEST_REST_S = 60.0, 600.0
"""How long a breaker leaves alone what has rejected us: the first time, doubled after each rejection up to the last."""


LONGEST_PAUSE_S = 60.0
"""How long a pause may last at most that the other side asks for: a slip of its, or of whoever is in between, must not
keep everybody out for a day."""


class BreakerState(StrEnum):
    """As metrics name it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """Leave to make one call, whose outcome is reported with it. One belongs to one period of one state."""

    period: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRule:
    """When a breaker opens, and what closes it.

    It opens when, of the calls that ended within the last ``window`` seconds (at most the ``latest`` ones, if
    given), at least ``calls`` are known and a ``share`` of them failed: ``share=1, calls=3, latest=3`` means three
    failures in a row. After ``pause`` seconds ``probes`` calls are let through, and no more until they have ended: if
    all succeed it closes, with the first failure it opens again.

    Tripped by a rejection, it opens at once for ``rest`` seconds, and lets a single probe through after them: one that
    is rejected too doubles the rest, up to ``longest_rest``, one that succeeds closes it.
    """

    share: float
    calls: int
    window: float
    pause: float
    probes: int = 1
    latest: int | None = None
    rest: float = FIRST_REST_S
    longest_rest: float = LONGEST_REST_S


class CircuitBreaker:
    """Refuses calls to what has failed too often, and finds out by a few probes when it answers again.

    A probe whose outcome is not reported within ``patience`` seconds counts as never made, so that another may take
    its place. Times have to come from one clock that never goes back. Not for several threads.
    """

    def __init__(self, rule: BreakerRule, *, patience: float) -> None:
        self._rule = rule
        self._patience = patience
        self._ended: deque[tuple[float, bool]] = deque()
        self._rest = 0.0  # unless it is tripped
        self._failures = 0
        self._period = 0
        self._until: float | None = None
        self._asked: dict[Permit, float] = {}
        self._answered = 0

    def state(self, now: float) -> BreakerState:
        """Where it stands at that time."""
        if self._until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._until else BreakerState.HALF_OPEN

    def remaining(self, now: float) -> float:
        """Seconds until it may let a probe through: 0 unless it is open."""
        return max(0.0, (self._until or 0.0) - now)

    @property
    def is_tripped(self) -> bool:
        """Whether nothing has succeeded since it was tripped."""
        return self._rest > 0

    def admit(self, now: float) -> Permit | None:
        """Leave to make a call, or None when it must not be made."""
        state = self.state(now)
        if state is BreakerState.OPEN:
            return None
        permit = Permit(self._period)
        if state is BreakerState.HALF_OPEN:
            self._asked = {
                probe: at for probe, at in self._asked.items() if now - at < self._patience
            }
            if len(self._asked) + self._answered >= self._allowed:
                return None
            self._asked[permit] = now
        return permit

    def succeeded(self, permit: Permit, now: float) -> None:
        """The call ended well. Nothing is learnt from one that was let through before the state changed."""
        if permit.period != self._period:
            return
        if self._until is None:
            self._count(now, failed=False)
        elif self._asked.pop(permit, None) is not None:
            self._answered += 1
            if self._answered >= self._allowed:
                self._rest = 0.0
                self._enter(None)

    def failed(self, permit: Permit, now: float) -> None:
        """The call failed, in a way that says something about whom it was made to."""
        if permit.period != self._period:
            return
        if self._until is None:
            self._count(now, failed=True)
            known = len(self._ended)
            if known >= self._rule.calls and self._failures >= self._rule.share * known:
                self._enter(now + self._rule.pause)
        elif permit in self._asked:
            self._enter(now + (self._rest or self._rule.pause))

    def trip(self, permit: Permit, now: float) -> None:
        """The call was rejected, as with wrong credentials: that seldom passes soon, and to insist does harm."""
        if permit.period != self._period:
            return
        self._rest = min(2 * self._rest, self._rule.longest_rest) or self._rule.rest
        self._enter(now + self._rest)

    def withdrawn(self, permit: Permit) -> None:
        """The call was not made, or its end says nothing: a probe's place is free for another."""
        self._asked.pop(permit, None)

    @property
    def _allowed(self) -> int:
        """How many probes it takes to close."""
        return 1 if self.is_tripped else self._rule.probes

    def _enter(self, until: float | None) -> None:
        self._period += 1
        self._until = until
        self._ended.clear()
        self._failures = 0
        self._asked = {}
        self._answered = 0

    def _count(self, now: float, *, failed: bool) -> None:
        self._ended.append((now, failed))
        self._failures += failed
        most = self._rule.latest or math.inf
        while len(self._ended) > most or now - self._ended[0][0] >= self._rule.window:
            self._failures -= self._ended.popleft()[1]


class TokenBucket:
    """Paces calls: at most ``rate`` a second, evenly, never two at once to make up for a quiet time.

    It begins at ``start`` and gains ``ramp`` calls a second per minute, up to ``most``. Same clock rule as above.
    """

    def __init__(self, *, most: float, start: float, ramp: float, now: float) -> None:
        self._most = most
        self._ramp = ramp / 60
        self._base = min(start, most)
        self._since = now
        self._next = now

    def rate(self, now: float) -> float:
        """Calls a second that it lets through at that time."""
        return min(self._most, self._base + self._ramp * (now - self._since))

    def take(self, now: float) -> float:
        """0.0 when the call may be made now, which counts; otherwise the seconds until one may be."""
        if now < self._next:
            return self._next - now
        self._next = now + 1 / self.rate(now)
        return 0.0

    def slow_down(self, now: float, pause: float) -> None:
        """Halve the rate, from which it recovers as it began; let nothing through for ``pause`` seconds."""
        self._base = max(self.rate(now) / 2, self._most / 16)
        self._since = now
        self._next = max(self._next, now + pause)
