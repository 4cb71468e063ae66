"""The courier: runs what waits in the outbox, one task per process, until it is done or has to wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from mpi.domain.errand import ErrandKind, Lane, LeasedErrand, Waiting
from mpi.errors import MpiError, ProviderLeftAlone, ProviderRefusal
from mpi.ports import Outbox
from mpi.service.cancellation import end_if_cancelled, rest

log = structlog.get_logger(__name__)

REFUSED = "refused"
"""Why an errand waits that the other side has understood and does not do."""

OVERTAKEN = "overtaken"
"""How an errand ended whose lease was another's by then: whoever has it now runs it again."""

_IDLE_S = 0.5
_COUNT_EVERY_S = 15.0
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=2), timedelta(minutes=15)
_REFUSED_WAIT = timedelta(hours=6)
_RENEWALS = 3
"""How often a lease is renewed in its time: so a slow renewal or one that fails loses nothing."""
_LONGEST_UNASKED_WAIT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Again:
    """An errand that goes on ``after`` a while, from its ``mark``."""

    after: timedelta
    mark: str


Handler = Callable[[LeasedErrand], Awaitable[Again | None]]
"""Runs an errand; safe to repeat. What it raises puts the errand off: a ``ProviderRefusal`` for long,
a ``ProviderLeftAlone`` without counting as a failure."""


@dataclass(frozen=True, slots=True)
class Courier:
    """Runs errands by the handlers of their kinds, ``at_once`` of each lane.

    ``lease`` is how long what a dead process had in hand waits for another; whoever lives renews it. ``begin`` queues
    what always goes on. ``ran`` is told of every errand's kind and how it ended, ``counted`` of what waits.
    """

    outbox: Outbox
    handlers: Mapping[ErrandKind, Handler]
    clock: Callable[[], datetime]
    lease: timedelta
    at_once: int = 8
    begin: Callable[[], Awaitable[None]] | None = None
    ran: Callable[[str, str], None] = lambda _kind, _outcome: None
    counted: Callable[[Sequence[Waiting], datetime], None] = lambda _waiting, _now: None

    async def run(self) -> None:
        """Work until cancelled. Each lane has a worker: nobody urgent waits until a batch is through."""
        async with asyncio.TaskGroup() as workers:
            for lane in Lane:
                workers.create_task(self._forever(partial(self.deliver, lane), _IDLE_S))
            workers.create_task(self._forever(self._count, _COUNT_EVERY_S))
            if self.begin is not None:
                workers.create_task(self._forever(self.begin, None))

    async def deliver(self, lane: Lane = Lane.BATCH) -> int:
        """Run what is due, a handful at a time, until nothing is; returns how many errands that were."""
        done = 0
        while leased := await self.outbox.due(self.lease, self.at_once, lane):
            await asyncio.gather(*map(self._run, leased))
            done += len(leased)
            end_if_cancelled()
        return done

    async def _count(self) -> None:
        self.counted(await self.outbox.waiting(), self.clock())

    async def _forever(self, step: Callable[[], Awaitable[object]], pause: float | None) -> None:
        """Take a step every ``pause`` seconds; None: until it has once succeeded."""
        while True:
            try:
                await step()
            except MpiError as error:
                log.warning("outbox_unavailable", code=error.code)
            except Exception:
                # A defect of ours: it must be seen, and must not end the courier.
                log.exception("outbox_failed")
            else:
                if pause is None:
                    return
            await rest(pause or _IDLE_S)

    async def _run(self, leased: LeasedErrand) -> None:
        kind = leased.errand.kind
        try:
            async with self._kept(leased):
                again = await self.handlers[kind](leased)
        except ProviderRefusal:
            await self._put_off(leased, REFUSED, _REFUSED_WAIT)
        except ProviderLeftAlone as error:
            await self._put_off(leased, _reason(error), self._unasked(leased), failed=False)
        except MpiError as error:
            await self._put_off(leased, _reason(error), _backoff(leased))
        except Exception:
            # A defect of ours must neither end the courier nor lose the errand.
            log.exception("errand_failed", attempts=leased.attempts)
            await self._put_off(leased, "defect", _backoff(leased))
        else:
            if again is None:
                is_ours = await self.outbox.done(leased)
            else:
                due_at = self.clock() + again.after
                is_ours = await self.outbox.later(leased, due_at, mark=again.mark)
            self.ran(kind.value, "done" if is_ours else OVERTAKEN)

    @asynccontextmanager
    async def _kept(self, leased: LeasedErrand) -> AsyncIterator[None]:
        """Nobody else gets the errand while it is run here, however long that takes."""
        keeping = asyncio.create_task(self._keep(leased))
        try:
            yield
        finally:
            keeping.cancel()

    async def _keep(self, leased: LeasedErrand) -> None:
        is_ours = True
        while is_ours:
            await asyncio.sleep(self.lease.total_seconds() / _RENEWALS)
            try:
                is_ours = await self.outbox.renew(leased, self.lease)
            except MpiError as error:
                log.warning("outbox_unavailable", code=error.code)

    def _unasked(self, leased: LeasedErrand) -> timedelta:
        """As long again as it has waited already: after a short outage it is not late, and in a long one no burden."""
        age = self.clock() - leased.created_at
        return _spread(min(_LONGEST_UNASKED_WAIT, max(_FIRST_WAIT, age)))

    async def _put_off(
        self, leased: LeasedErrand, reason: str, wait: timedelta, *, failed: bool = True
    ) -> None:
        due_at = self.clock() + wait
        is_ours = await self.outbox.later(leased, due_at, reason, failed=failed)
        self.ran(leased.errand.kind.value, reason if is_ours else OVERTAKEN)


def _backoff(leased: LeasedErrand) -> timedelta:
    """Twice as long after each failure."""
    return _spread(min(_LONGEST_WAIT, _FIRST_WAIT * (1 << min(leased.attempts, 20))))


def _reason(error: MpiError) -> str:
    return str(error.extra.get("reason") or error.code)


def _spread(longest: timedelta) -> timedelta:
    """So that a crowd does not come back at once."""
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads retries
