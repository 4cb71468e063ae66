"""What is still to be said elsewhere, and what saying it may cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from mpi.domain.errand import Errand, Lane, LeasedErrand, Waiting


class Outbox(Protocol):
    """What is still to be said elsewhere. A process that dies loses nothing; inside a group all of this is part of it.

    Errands that follow from a change are queued by its commit (:attr:`mpi.domain.identity.IdentityChange.errands`).
    """

    async def queue(self, errands: Sequence[Errand]) -> int:
        """Queue errands; returns how many are new. One that waits already is not queued twice.

        It keeps its mark, gets the more urgent lane and the earlier time of the two; while somebody runs it, it is
        run once more after that.
        """
        ...

    async def due(
        self, lease: timedelta, limit: int = 1, lane: Lane = Lane.BATCH
    ) -> tuple[LeasedErrand, ...]:
        """Lease errands that are due to this caller alone: of this lane and the more urgent ones, those first.

        After the lease they are anybody's again, unless they are done, put off or renewed.
        """
        ...

    async def renew(self, leased: LeasedErrand, lease: timedelta) -> bool:
        """Keep the errand for another lease, from now on. False, and nothing, when the lease is another's by now."""
        ...

    async def done(self, leased: LeasedErrand) -> bool:
        """Forget the errand, unless it was queued again meanwhile. False, and nothing, when the lease is another's."""
        ...

    async def later(
        self,
        leased: LeasedErrand,
        due_at: datetime,
        reason: str | None = None,
        mark: str | None = None,
        *,
        failed: bool = True,
    ) -> bool:
        """Put the errand off: it has failed for a ``reason``, or goes on from its ``mark``, which begins a new count.

        With ``failed`` false it was not even tried, for that reason, which counts for nothing.

        One that was queued again meanwhile is due no later for it. False, and nothing, when the lease is another's.
        """
        ...

    async def lane_of(self, errand: Errand) -> Lane | None:
        """The lane in which an equal errand waits, also while somebody runs it; None when none does."""
        ...

    async def waiting(self) -> tuple[Waiting, ...]:
        """What waits, by kind."""
        ...


class CallLedger(Protocol):
    """How many calls to an outside provider were spent, by period; shared by all processes, and durable."""

    async def spend(self, period: str, calls: int, most: int) -> tuple[int, int]:
        """Spend at most so many ``calls``, never more than ``most`` in the period; a negative number returns some.

        Answers how many were granted, and how many are spent then.
        """
        ...
