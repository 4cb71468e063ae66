"""Whether Verato can be asked: learnt from the calls that are made anyway, and by a probe where there are none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from mpi.errors import ProviderUnavailable
from mpi.providers.verato.health import problem, trouble
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.outcome import CONSEQUENCES, CallOutcome
from mpi.providers.verato.payload import Reply

_PROBE_EVERY_S = 30.0
_PATIENCE_S = 0.5

_SELDOM_S = 900.0
_MONTH_S = 30 * 86_400.0
_PART_OF_BUDGET = 0.01
"""How much of the calls of a month the probes of one process may use up."""


class Watch:
    """Looks after one Verato. ``probed`` is a source that it should know. Belongs to one event loop."""

    def __init__(
        self, index: VeratoIndex, probed: str | None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._index = index
        self._probed = probed
        self._clock = clock
        self._every = _spacing(index.client.monthly)
        self._probe: asyncio.Future[Reply] | None = None
        self._probed_at = 0.0
        self._well_at = clock()
        self._refusal: str | None = None

    async def check(self) -> None:
        """Raises ``ProviderUnavailable``, which says what is wrong and the remedy.

        A probe is made at the first look and where no call of late has been answered. Nobody waits for a slow one: what
        is known counts.
        """
        if self._is_due():
            self._probed_at = self._clock()
            self._probe = asyncio.ensure_future(self._index.probe(self._probed))
            self._probe.add_done_callback(self._learn)
        if self._probe is not None:
            await asyncio.wait([self._probe], timeout=_PATIENCE_S)
        wrong = self._refusal or self._trouble()
        if wrong is not None:
            raise ProviderUnavailable(wrong)
        self._well_at = self._clock()

    def _is_due(self) -> bool:
        if self._probe is None:  # nothing else tells whether this user may name the source
            return True
        if not self._probe.done():
            return False
        known_since = self._probed_at
        latest = self._index.client.latest
        if latest is not None and _is_well(latest.outcome) and self._refusal is None:
            known_since = max(known_since, latest.at)
        return self._clock() - known_since >= self._pause()

    def _pause(self) -> float:
        """Seconds between probes. Trouble is looked at again after as long as it has lasted, dear as calls may be."""
        if self._refusal is None and self._trouble() is None:
            return self._every
        return min(self._every, max(_SELDOM_S, self._probed_at - self._well_at))

    def _trouble(self) -> str | None:
        """What is wrong after the last call. A refusal is one patient's, unless a probe met with it."""
        latest = self._index.client.latest
        if latest is None or CONSEQUENCES[latest.outcome].is_answer:
            return None
        return trouble(self._index.client, latest.reason)

    def _learn(self, probe: asyncio.Future[Reply]) -> None:
        if (
            probe.cancelled() or probe.exception() is not None
        ):  # the store's, which is looked after by itself
            return
        reply = probe.result()
        if CONSEQUENCES[reply.outcome].is_answer:
            is_refused = reply.outcome is CallOutcome.REJECTED
            self._refusal = problem(reply.reason) if is_refused else None

    async def close(self) -> None:
        """Let a probe end, if it does so soon."""
        if self._probe is not None:
            await asyncio.wait([self._probe], timeout=_PATIENCE_S)
            self._probe.cancel()


def _is_well(outcome: CallOutcome) -> bool:
    return CONSEQUENCES[outcome].is_answer and outcome is not CallOutcome.REJECTED


def _spacing(monthly: int | None) -> float:
    """Seconds between probes: with a budget they use up a small part of it only."""
    if monthly is None:
        return _PROBE_EVERY_S
    return max(_SELDOM_S, _MONTH_S / (_PART_OF_BUDGET * monthly))
