"""A cache to look into, and a provider that can be held up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from mpi.cache.memory import MemoryCache
from mpi.domain.identity import PersonState, StoredRecord
from mpi.errors import MpiError
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Explanation
from mpi.ports import Provider, Resolution
from mpi.service.answers import MatchAnswer
from tests.support.index import Index


def memory(
    *,
    ttl: float = 3600.0,
    entries: int = 1000,
    size: int = 10_000_000,
    ticks: Callable[[], float] = lambda: 0.0,
) -> MemoryCache:
    """A memory tier on a clock that stands still."""
    return MemoryCache(ttl=ttl, entries=entries, size=size, ticks=ticks)


class Gate:
    """Stands between the service and its provider, as a slow network would.

    While ``closed``, whoever asks waits: before the provider is asked, or with its answer in hand.
    """

    def __init__(self, provider: Provider, *, with_answer: bool = False) -> None:
        self._provider = provider
        self._with_answer = with_answer
        self._open = asyncio.Event()
        self._open.set()
        self._waiting = asyncio.Semaphore(0)
        self.calls = 0
        self.error: MpiError | None = None

    name = "internal"

    @property
    def version(self) -> str:
        return self._provider.version

    def close(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def open_for_others(self) -> asyncio.Event:
        """Let everybody pass who comes from now on; who waits already goes on when the event is set."""
        before, self._open = self._open, asyncio.Event()
        self._open.set()
        return before

    async def reached(self) -> None:
        """Wait until one more has come to the gate."""
        async with asyncio.timeout(5):
            await self._waiting.acquire()

    async def introduce(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord | MpiError]:
        return await self._provider.introduce(records)

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        self.calls += 1
        if not self._with_answer:
            await self._pass()
        found = await self._provider.resolve(record, keys, home)
        if self._with_answer:
            await self._pass()
        return found

    async def _pass(self) -> None:
        gate = self._open
        self._waiting.release()
        await gate.wait()
        if self.error is not None:
            raise self.error

    def explain(self, record: StoredRecord, found: Resolution) -> Explanation | None:
        return self._provider.explain(record, found)


async def kept(index: Index, fields: dict[str, str]) -> MatchAnswer:
    """An answer from the cache: the same question is asked twice."""
    await index.ask(fields)
    answer = await index.ask(fields)
    assert answer.served_from == "memory"
    return answer
