"""Several processes keep one limit together, in a real Valkey; each its share when that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from time import monotonic

import pytest

from bench.daemons import Valkey
from mpi.cache.redis import RedisPlace
from mpi.cache.redis_pace import RedisPace
from mpi.domain.errand import Lane
from mpi.providers.verato.pacing import OwnShare, Pacer, SharedLimit
from mpi.resilience import TokenBucket

TPS = 50.0
SHARE = TPS / 5
SECONDS = 2.0


def pace(valkey: Valkey, name: str) -> RedisPace:
    place = RedisPlace(host="127.0.0.1", port=valkey.port, pool_size=4)
    return RedisPace(place.client(), name, most=TPS, start=TPS, ramp=0)


def process(shared: RedisPace) -> Pacer:
    """What one process has of the limit."""
    bucket = TokenBucket(most=SHARE, start=SHARE, ramp=0, now=monotonic())
    return Pacer(SharedLimit(shared, OwnShare(bucket, monotonic), monotonic), concurrency=8)


@pytest.fixture
async def paces(valkey: Valkey) -> AsyncIterator[tuple[RedisPace, RedisPace]]:
    """One limit as two processes see it."""
    name = f"test:{token_hex(4)}"
    one, other = pace(valkey, name), pace(valkey, name)
    async with AsyncExitStack() as stack:
        for each in (one, other):
            stack.push_async_callback(each.close)
        yield one, other


async def calls(pacer: Pacer, lane: Lane, until: float, made: list[float]) -> None:
    """Call as often as one may; ``made`` gets the time of each call."""
    while monotonic() < until:
        async with pacer.turn(lane, 30):
            made.append(monotonic())


async def both(
    one: Pacer, other: Pacer, lanes: tuple[Lane, Lane]
) -> tuple[list[float], list[float]]:
    found: tuple[list[float], list[float]] = ([], [])
    until = monotonic() + SECONDS
    await asyncio.gather(
        *(calls(one, lanes[0], until, found[0]) for _ in range(8)),
        *(calls(other, lanes[1], until, found[1]) for _ in range(8)),
    )
    return found


async def test_together_they_make_what_is_allowed_and_no_more(
    paces: tuple[RedisPace, RedisPace],
) -> None:
    one, other = map(process, paces)
    first, second = await both(one, other, (Lane.BATCH, Lane.BATCH))
    made = sorted(first + second)
    # Turns are evenly spaced, so no window of a second holds more than the limit; one may be late.
    assert all(
        sum(start <= at < start + 1 for at in made) <= TPS + 2 for start in made[:: len(made) // 9]
    )
    assert len(made) > 0.3 * TPS * SECONDS
    assert min(len(first), len(second)) > 0


async def test_one_process_alone_may_use_all_of_it(paces: tuple[RedisPace, RedisPace]) -> None:
    made: list[float] = []
    pacer = process(paces[0])
    begun = monotonic()
    while len(made) < 60:
        async with pacer.turn(Lane.BATCH, 30):
            made.append(monotonic())
    assert len(made) / (monotonic() - begun) > SHARE * 1.5


async def test_who_waits_in_one_process_goes_before_batches_of_another(
    paces: tuple[RedisPace, RedisPace],
) -> None:
    one, other = map(process, paces)
    batch, urgent = await both(one, other, (Lane.BATCH, Lane.REAL_TIME))
    assert len(urgent) > 3 * len(batch)


async def test_too_much_for_one_is_too_much_for_all(paces: tuple[RedisPace, RedisPace]) -> None:
    one, other = paces
    assert await other.take(urgent=False) == (0.0, TPS)
    await one.slow_down(0.5)
    wait, rate = await other.take(urgent=True)
    assert 0.3 < wait <= 0.5
    assert rate == pytest.approx(TPS / 2)


async def test_a_clock_that_goes_back_lifts_no_limit(paces: tuple[RedisPace, RedisPace]) -> None:
    slow = TPS / 5
    ramping = replace(paces[0], start=slow, ramp=TPS)
    await ramping.take(urgent=False)
    told = float(await ramping.client.hget(ramping.name, "since") or 0)
    # As if the clock were an hour behind the one that told these.
    await ramping.client.hset(ramping.name, mapping={"since": told + 3_600_000, "next": told})
    assert await ramping.take(urgent=False) == (0.0, slow)
    wait, rate = await ramping.take(urgent=False)
    assert 0 < wait <= 1 / slow
    assert rate == pytest.approx(slow, rel=0.05)
    await ramping.client.hset(ramping.name, "since", told + 3_600_000)
    await ramping.slow_down(0)
    base = float(await ramping.client.hget(ramping.name, "base") or 0)
    assert base == pytest.approx(slow / 2, rel=0.05)


async def test_a_value_of_another_type_in_its_place_ends_no_pace(
    paces: tuple[RedisPace, RedisPace],
) -> None:
    one, other = paces
    await one.client.set(one.name, "somebody else's")
    assert await one.take(urgent=False) == (0.0, TPS)
    assert await other.client.hget(other.name, "next"), "they count together"
    await one.client.delete(one.name)
    await one.client.lpush(one.name, "somebody else's")
    await one.slow_down(0)
    assert (await other.take(urgent=True))[1] == pytest.approx(TPS / 2)


async def test_without_redis_each_has_its_share(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    server.start()
    shared = pace(server, "test")
    pacer = process(shared)
    async with pacer.turn(Lane.REAL_TIME, 30):
        assert pacer.rate == TPS
    server.stop()
    for _ in range(3):
        async with pacer.turn(Lane.REAL_TIME, 30):
            assert pacer.rate == SHARE
