"""A second model on live traffic: it decides what the first has decided, later, and is only counted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

import structlog

from mpi.errors import MpiError
from mpi.matching.decision import Decision, Outcome, decide
from mpi.matching.model import Model
from mpi.ports import Judged

WAITING = 100
"""Decisions that wait for their shadow; further ones are left out."""

_SHARE = 0.1
"""Of its time a process gives the shadow no more, so that patients wait for it hardly and never twice."""
_FIRST_PAUSE = 0.05
"""Seconds in which the answer has gone out."""

OTHER_PERSON = "link_other"
"""Both models link, but not to the same person."""

log = structlog.get_logger("mpi.shadow")


class Shadow:
    """Repeats decisions by the ``model`` that there is at the time.

    ``told`` hears both outcomes, ``skipped`` of each decision that is left out.
    """

    def __init__(
        self,
        model: Callable[[], Model | None],
        told: Callable[[str, str], object],
        skipped: Callable[[], object],
    ) -> None:
        self._model = model
        self._told = told
        self._skipped = skipped
        self._waiting: deque[Judged] = deque()
        self._working: asyncio.Task[None] | None = None
        self._is_failing = False

    def observe(self, judged: Judged) -> None:
        """Take a decision that was made. Costs the caller nothing to speak of."""
        if self._model() is None:
            return
        if len(self._waiting) >= WAITING:
            self._skipped()
            return
        self._waiting.append(judged)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
            self._working.add_done_callback(self._ended)

    async def close(self) -> None:
        """Leave what still waits undecided."""
        self._waiting.clear()
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait((self._working,))

    async def check(self) -> None:
        """Raises ``MpiError`` while there is a shadow that a defect keeps from repeating decisions."""
        if self._is_failing and self._model() is not None:
            raise MpiError("the shadow model cannot repeat decisions; the log names the defect")

    async def _work(self) -> None:
        pause = _FIRST_PAUSE
        while self._waiting:
            await asyncio.sleep(pause)
            model = self._model()
            judged = self._waiting.popleft()
            if model is None:
                continue
            started = perf_counter()
            self._told(*outcomes(judged.decision, _decided(judged, model)))
            self._is_failing = False
            pause = (perf_counter() - started) / _SHARE

    def _ended(self, working: asyncio.Task[None]) -> None:
        """After a defect: it must be seen, but not with every decision that comes."""
        error = None if working.cancelled() else working.exception()
        if error is None:
            return
        if not self._is_failing:
            log.error("shadow_failing", exc_info=error)
        self._is_failing = True


def _decided(judged: Judged, model: Model) -> Decision:
    return decide(
        judged.record.standard,
        judged.record.key,
        judged.persons,
        judged.assertions,
        model,
        judged.index_size,
    )


def outcomes(deciding: Decision, shadow: Decision) -> tuple[str, str]:
    """Both outcomes in small letters."""
    both_link = deciding.outcome is shadow.outcome is Outcome.LINK
    if both_link and deciding.mpi_id != shadow.mpi_id:
        return "link", OTHER_PERSON
    return deciding.outcome.lower(), shadow.outcome.lower()
