"""One thing at a time about one registration."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from mpi.domain.record import RecordKey
from mpi.providers.verato.pacing import NoTurn


class InOrder:
    """Blocks about the same record run one after another, in the order they came; others do not wait.

    Belongs to one event loop. A lock lives only while somebody needs it.
    """

    def __init__(self) -> None:
        self._locks: dict[RecordKey, asyncio.Lock] = {}
        self._users: dict[RecordKey, int] = {}

    @asynccontextmanager
    async def of(self, *keys: RecordKey, within: float = math.inf) -> AsyncIterator[None]:
        """Hold every key; taken in one order by everybody, so that nobody waits for ever.

        Raises ``NoTurn`` unless all are free ``within`` so many seconds.
        """
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(within if math.isfinite(within) else None):
                    for key in sorted(set(keys)):
                        await held.enter_async_context(self._held(key))
            except TimeoutError:
                raise NoTurn from None
            yield

    @asynccontextmanager
    async def _held(self, key: RecordKey) -> AsyncIterator[None]:
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] = self._users.get(key, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]
