"""How long a tier of the cache takes, beside the smallest thing its server can be asked, in turn."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from time import monotonic, perf_counter, time

import uvloop

from bench.context import Run
from bench.daemons import Mongod, Valkey
from bench.results import Figure, Goal, Table
from bench.statistics import Spread, percentile
from mpi.cache.memory import MemoryCache
from mpi.cache.mongodb import MongoCache
from mpi.cache.redis import RedisCache, RedisPlace
from mpi.cache.sealing import Seal
from mpi.cache.tiered import TieredCache
from mpi.ports import KeptAnswer, RemoteCache
from mpi.stores.mongodb.opening import Address, client_for
from mpi.telemetry import Metrics

_RATE = 500.0
_KEPT = 1_000
_GOALS = {"memory": 0.1, "redis": 2.0, "mongodb": 8.0}
_BESIDE = {"redis": "PING", "mongodb": "ping"}
Ask = Callable[[bytes], Awaitable[object]]


def table(run: Run) -> Table:
    """Each tier at 500 gets a second, through deadline and breaker as the service asks it."""
    run.step("tiers: starting servers")
    valkey, mongod = Valkey(run.folder / "valkey"), Mongod(run.folder / "mongod")
    valkey.start()
    mongod.start()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found = runner.run(_measured(run, valkey, mongod))
    finally:
        valkey.kill()
        mongod.kill()
    figures = tuple(
        Figure(
            f"{tier}, p95",
            "ms",
            ours := Spread.of(found[tier]),
            _BESIDE.get(tier, ""),
            Spread.of(found[f"{tier} floor"]) if tier in _BESIDE else None,
            goal=Goal(f"< {goal:g} ms", ours.median < goal),
        )
        for tier, goal in _GOALS.items()
    )
    return Table(
        "tiers",
        "Tiers of the cache, 500 gets a second",
        figures,
        {"seconds": run.sizes.seconds, "rounds": run.sizes.rounds},
        (
            "Answers of 700 bytes with 40 tags, sealed. Beside them the bare round trip through the same driver in the "
            "same second. The servers run on the same cores.",
        ),
    )


async def _measured(run: Run, valkey: Valkey, mongod: Mongod) -> dict[str, list[float]]:
    seal = Seal(b"s" * 32)
    client = RedisPlace("127.0.0.1", valkey.port, 50).client()
    mongo = client_for(Address(mongod.uri, "bench", timeout=1.0))
    memory = MemoryCache(entries=_KEPT, size=100_000_000, now=time)
    redis = RedisCache(client, b"bench:", seal, now=time)
    documents = MongoCache(mongo, "bench", b"bench:", seal, now=time)
    for number in range(_KEPT):
        for cache in (memory, redis, documents):
            await cache.put(_key(number), _answer(number))
    asked: dict[str, Ask] = {
        "memory": memory.get,
        "redis": _guarded(redis),
        "redis floor": lambda _: client.ping(),
        "mongodb": _guarded(documents),
        "mongodb floor": lambda _: mongo.admin.command("ping"),
    }
    found = defaultdict(list)
    for number in range(run.sizes.rounds + 1):
        with run.share(f"tiers: round {number}", len(asked) * run.sizes.seconds):
            for name, ask in asked.items():
                times = await _open_loop(ask, run.sizes.seconds)
                if number:  # the first round makes the connections
                    found[name].append(percentile(times, 0.95))
    await redis.close()
    await documents.close()
    return found


def _guarded(cache: RemoteCache) -> Ask:
    row = TieredCache([cache], None, deadline=0.25, ticks=monotonic, told=Metrics())

    async def ask(key: bytes) -> None:
        assert await row.find(key, lambda _: True)

    return ask


async def _open_loop(ask: Ask, seconds: float) -> list[float]:
    """Milliseconds of each call, begun at its time whatever the others do."""
    times: list[float] = []

    async def once(number: int) -> None:
        started = perf_counter()
        await ask(_key(number % _KEPT))
        times.append((perf_counter() - started) * 1000)

    start, calls = perf_counter(), []
    for number in range(int(seconds * _RATE)):
        await asyncio.sleep(start + number / _RATE - perf_counter())
        calls.append(asyncio.create_task(once(number)))
    await asyncio.gather(*calls)
    return times


def _key(number: int) -> bytes:
    return number.to_bytes(16)


def _answer(number: int) -> KeptAnswer:
    tags = tuple(range(number, number + 40))
    return KeptAnswer(b"x" * 700, "matched", tags, number, number, number, time() + 3600)
