"""How many calls to Verato a month may cost, over all processes and their restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mpi.ports import CallLedger

_LARGEST_SHARE = 50
"""Calls that a process takes at a time, so that not every call writes to the store. A crash forfeits them."""

_ASK_AGAIN = timedelta(minutes=1)
"""How long a month counts as spent before that is looked at again: others return at their end what they did not use."""


class Budget:
    """Grants ``most`` calls a calendar month (UTC), counted in the ledger. Belongs to one event loop.

    ``left`` is told how many the month still has: what no process has taken, and what this one holds.
    """

    def __init__(
        self,
        ledger: CallLedger,
        most: int,
        clock: Callable[[], datetime],
        left: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self.most = most
        self._clock = clock
        self._left = left
        self._share = max(1, min(_LARGEST_SHARE, most // 100))
        self._month = ""
        self._held = 0
        self._untaken = most
        self._spent_until = datetime.min.replace(tzinfo=UTC)
        self._taking = asyncio.Lock()

    async def take(self) -> bool:
        """Whether one more call may be made. Raises ``StoreUnavailable``."""
        self._turn_month()
        if not self._held:
            async with self._taking:  # else each of those who come at once would take a share
                await self._take_share()
        if not self._held:
            return False
        self._hold(-1)
        return True

    def _turn_month(self) -> None:
        month = f"{self._clock():%Y-%m}"
        if month != self._month:
            self._month, self._held, self._untaken = month, 0, self.most
            self._spent_until = datetime.min.replace(tzinfo=UTC)

    async def _take_share(self) -> None:
        """Take another share, unless somebody just has, or nothing was left a moment ago."""
        now = self._clock()
        if self._held or now < self._spent_until:
            return
        month = self._month
        granted, spent = await self._ledger.spend(month, self._share, self.most)
        if month != self._month:
            return
        self._untaken = max(0, self.most - spent)
        if not granted:
            self._spent_until = now + _ASK_AGAIN
        self._hold(granted)

    def _hold(self, more: int) -> None:
        self._held += more
        self._left(self._untaken + self._held)

    def give_back(self) -> None:
        """A call that was granted was not made."""
        self._hold(1)

    async def close(self) -> None:
        """Return what was taken and not used."""
        if self._held:
            await self._ledger.spend(self._month, -self._held, self.most)
            self._held = 0
