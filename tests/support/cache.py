"""A cache to look into, and a provider that can be held up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic, time

from bench.daemons import Mongod, Valkey
from mpi.cache.memory import MemoryCache
from mpi.cache.mongodb import MongoCache
from mpi.cache.redis import RedisCache, RedisPlace
from mpi.cache.sealing import Seal
from mpi.cache.tiered import TieredCache
from mpi.domain.identity import PersonState, StoredRecord
from mpi.errors import MpiError
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Explanation
from mpi.ports import KeptAnswer, Likely, Provider, RemoteCache, Resolution
from mpi.resilience import BreakerState
from mpi.service.answers import MatchAnswer
from mpi.stores.mongodb.opening import Address, client_for
from tests.support.index import Index

SECRET = b"s" * 32


def memory(
    *, entries: int = 1000, size: int = 10_000_000, now: Callable[[], float] = time
) -> MemoryCache:
    """A memory tier."""
    return MemoryCache(entries=entries, size=size, now=now)


def an_answer(
    body: bytes = b'{"mpi_id":null}',
    *,
    tags: tuple[int, ...] = (1, 2**64 - 1),
    position: int = 5,
    expires: float | None = None,
) -> KeptAnswer:
    """An answer that holds for an hour."""
    return KeptAnswer(
        body=body,
        status="no_match",
        tags=tags,
        position=position,
        mark=2**63 + 7,
        valid_until=position + 100,
        expires=time() + 3600 if expires is None else expires,
    )


@dataclass(slots=True)
class Counted:
    """What the tiers tell of themselves."""

    told: Counter[str] = field(default_factory=Counter)
    states: list[tuple[str, BreakerState]] = field(default_factory=list)

    def cache_hit(self, tier: str) -> None:
        self.told[f"hit {tier}"] += 1

    def cache_missed(self, tier: str) -> None:
        self.told[f"miss {tier}"] += 1

    def cache_skipped(self, tier: str) -> None:
        self.told[f"skipped {tier}"] += 1

    def cache_state(self, tier: str, state: BreakerState) -> None:
        if (tier, state) not in self.states[-1:]:
            self.states.append((tier, state))


def redis_cache(valkey: Valkey, prefix: bytes, *, lease: float = 5.0) -> RedisCache:
    """A tier in a real Valkey."""
    client = RedisPlace("127.0.0.1", valkey.port, pool_size=10).client()
    return RedisCache(client, prefix, Seal(SECRET), now=time, lease=lease)


def mongo_cache(
    mongod: Mongod, prefix: bytes, *, uri: str | None = None, now: Callable[[], float] = time
) -> MongoCache:
    """A tier in a real MongoDB."""
    client = client_for(Address(uri or mongod.uri, "cache", pool_size=10, timeout=1.0))
    return MongoCache(client, "cache", prefix, Seal(SECRET), now=now)


@asynccontextmanager
async def tiers(
    *caches: RemoteCache, told: Counted | None = None, deadline: float = 0.25
) -> AsyncIterator[TieredCache]:
    """Tiers in a row. Their deadline is long: a busy machine is no reason to be left out."""
    turns = next((cache for cache in caches if isinstance(cache, RedisCache)), None)
    row = TieredCache(caches, turns, deadline=deadline, ticks=monotonic, told=told or Counted())
    try:
        yield row
    finally:
        await row.close()


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

    async def called(self, times: int) -> None:
        """Wait until it was asked so often in all."""
        for _ in range(5000):
            if self.calls >= times:
                return
            await asyncio.sleep(0.001)
        raise AssertionError("nobody asked")

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

    async def query(self, record: StoredRecord, keys: BlockingKeys) -> Resolution:
        return await self.resolve(record, keys)

    async def search(
        self, record: StoredRecord, keys: BlockingKeys, limit: int
    ) -> tuple[Likely, ...]:
        return await self._provider.search(record, keys, limit)

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
