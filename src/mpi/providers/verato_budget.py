"""How many calls to Verato a month may cost, over all processes and their restarts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mpi.ports import CallLedger

_LARGEST_SHARE = 50
"""Calls that a process takes at a time, so that not every call writes to the store. A crash forfeits them."""


class Budget:
    """Grants ``most`` calls a calendar month (UTC), counted in the ledger. Belongs to one event loop.

    ``left`` is told how many the month still has for all processes.
    """

    def __init__(
        self,
        ledger: CallLedger,
        most: int,
        clock: Callable[[], datetime],
        left: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._most = most
        self._clock = clock
        self._left = left
        self._share = max(1, min(_LARGEST_SHARE, most // 100))
        self._month = ""
        self._taken = 0
        self._is_spent = False

    async def take(self) -> bool:
        """Whether one more call may be made. Raises ``StoreUnavailable``."""
        month = f"{self._clock():%Y-%m}"
        if month != self._month:
            self._month, self._taken, self._is_spent = month, 0, False
        if not self._taken and not self._is_spent:
            await self._take_share(month)
        if not self._taken:
            return False
        self._taken -= 1
        return True

    async def _take_share(self, month: str) -> None:
        granted, spent = await self._ledger.spend(month, self._share, self._most)
        if month == self._month:
            self._taken += granted
            self._is_spent = not granted
        self._left(max(0, self._most - spent))

    def give_back(self) -> None:
        """A call that was granted was not made."""
        self._taken += 1

    async def close(self) -> None:
        """Return what was taken and not used."""
        if self._taken:
            await self._ledger.spend(self._month, -self._taken, self._most)
            self._taken = 0
