"""The remote tiers in a row, on servers that hang, die and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from bench.daemons import Mongod, Server, Valkey, free_port
from mpi.cache.redis import RedisCache, RedisPlace
from mpi.cache.sealing import Seal
from mpi.cache.tiered import TieredCache
from mpi.errors import CacheUnavailable, ConfigurationError
from mpi.ports import KeptAnswer
from mpi.resilience import BreakerState
from tests.support.cache import SECRET, Counted, an_answer, mongo_cache, redis_cache, tiers

KEY = b"k" * 16


def always(_: KeptAnswer) -> bool:
    return True


@pytest.fixture
def prefix() -> bytes:
    return f"test:{uuid4().hex}:".encode()


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that only this test uses."""
    server = Valkey(tmp_path / "valkey")
    server.start()
    yield server
    server.kill()


async def until(what: Callable[[], Awaitable[object]]) -> None:
    """Wait until it is so; fails after a while."""
    for _ in range(400):
        if await what():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it never came to be")


async def test_a_later_tier_fills_the_ones_before_it(
    valkey: Valkey, mongod: Mongod, prefix: bytes
) -> None:
    redis, mongo, counted = redis_cache(valkey, prefix), mongo_cache(mongod, prefix), Counted()
    async with tiers(redis, mongo, told=counted, deadline=5) as row:
        answer = an_answer()
        await mongo.put(KEY, answer)
        assert await row.find(KEY, always) == ("mongodb", answer)
        assert await row.find(KEY, always) == ("redis", answer)
        assert counted.told == {"miss redis": 1, "hit mongodb": 1, "hit redis": 1}


def an_answer_of(found: KeptAnswer | None) -> KeptAnswer:
    assert found is not None
    return found


async def test_the_first_answer_that_holds_is_found_whichever_tier_has_it(
    valkey: Valkey, mongod: Mongod, prefix: bytes
) -> None:
    redis, mongo = redis_cache(valkey, prefix), mongo_cache(mongod, prefix)
    async with tiers(redis, mongo, deadline=5) as row:
        await redis.put(KEY, an_answer(position=3))
        await mongo.put(KEY, an_answer(position=8))
        found = await row.find(KEY, lambda answer: answer.position > 5)
        assert found is not None
        assert (found[0], found[1].position) == ("mongodb", 8)
        assert await row.find(KEY, lambda answer: answer.position > 8) is None


async def test_everything_kept_is_in_every_tier(
    valkey: Valkey, mongod: Mongod, prefix: bytes
) -> None:
    redis, mongo = redis_cache(valkey, prefix), mongo_cache(mongod, prefix)
    async with tiers(redis, mongo, deadline=5) as row:
        await row.keep(KEY, an_answer(position=4))
        for cache in (redis, mongo):
            assert an_answer_of(await cache.get(KEY)).position == 4


async def _filled(row: TieredCache, redis: RedisCache) -> None:
    await row.keep(KEY, an_answer())
    assert await redis.get(KEY)


async def test_a_tier_that_hangs_is_left_out_and_comes_back_by_itself(
    fragile: Valkey, mongod: Mongod, prefix: bytes
) -> None:
    redis, mongo, counted = redis_cache(fragile, prefix), mongo_cache(mongod, prefix), Counted()
    async with tiers(redis, mongo, told=counted) as row:
        await _filled(row, redis)
        assert await mongo.get(KEY)
        with fragile.paused():
            for _ in range(20):
                found = await row.find(KEY, always)
                assert found is not None
                assert found[0] == "mongodb"
            # The first three waited for their deadline, the others did not even ask.
            assert ("redis", BreakerState.OPEN) in counted.states
            assert counted.told["skipped redis"] >= 20

        async def is_back() -> bool:
            back = await row.find(KEY, always)
            return back is not None and back[0] == "redis"

        await until(is_back)


@pytest.mark.parametrize("end", [Server.kill, Server.stop], ids=["killed", "stopped"])
async def test_a_tier_that_dies_and_starts_again_is_used_again(
    fragile: Valkey, prefix: bytes, end: Callable[[Valkey], None]
) -> None:
    redis, counted = redis_cache(fragile, prefix), Counted()
    async with tiers(redis, told=counted) as row:
        await _filled(row, redis)
        end(fragile)
        for _ in range(10):
            assert await row.find(KEY, always) is None
        fragile.start()

        async def is_back() -> bool:
            await row.keep(KEY, an_answer())
            return await row.find(KEY, always) is not None

        await until(is_back)
        assert counted.states[-1] == ("redis", BreakerState.CLOSED)


async def test_when_every_tier_is_down_nothing_is_found_and_nothing_fails(
    prefix: bytes,
) -> None:
    nowhere = RedisPlace("127.0.0.1", free_port(), pool_size=1).client()
    redis = RedisCache(nowhere, prefix, Seal(SECRET), now=lambda: 0.0)
    async with tiers(redis) as row:
        assert await row.find(KEY, always) is None
        await row.keep(KEY, an_answer())
        turn = await row.take_turn(KEY)
        assert turn is not None
        await turn.end()


async def test_one_of_several_has_the_turn_until_it_ends(valkey: Valkey, prefix: bytes) -> None:
    one, other = redis_cache(valkey, prefix), redis_cache(valkey, prefix)
    async with tiers(one, deadline=5) as here, tiers(other, deadline=5) as there:
        turns = await asyncio.gather(*(row.take_turn(KEY) for row in (here, there) * 10))
        (turn,) = [turn for turn in turns if turn is not None]
        assert await there.take_turn(b"another") is not None
        await turn.end()
        assert await there.take_turn(KEY) is not None


async def test_the_turn_of_a_process_that_died_ends_by_itself(
    valkey: Valkey, prefix: bytes
) -> None:
    short, other = redis_cache(valkey, prefix, lease=0.2), redis_cache(valkey, prefix)
    turn = await short.take(KEY)
    assert turn is not None
    assert await other.take(KEY) is None
    await until(lambda: other.take(KEY))
    await turn.end()  # it is somebody else's by now
    assert await short.take(KEY) is None
    await short.close()
    await other.close()


@pytest.fixture
async def closed() -> AsyncIterator[list[RedisCache]]:
    """Caches to be closed in the end."""
    caches: list[RedisCache] = []
    yield caches
    for cache in caches:
        await cache.close()


def entering(place: RedisPlace, closed: list[RedisCache]) -> RedisCache:
    cache = RedisCache(place.client(), b"x:", Seal(SECRET), now=lambda: 0.0)
    closed.append(cache)
    return cache


async def test_what_is_wrong_is_said_with_its_remedy_and_without_secrets(
    tmp_path: Path, closed: list[RedisCache]
) -> None:
    server = Valkey(tmp_path / "locked", password="right-password")
    server.start()
    try:
        right = RedisPlace("127.0.0.1", server.port, 2, password="right-password")
        await entering(right, closed).check()
        wrong: dict[RedisPlace, str] = {
            RedisPlace("127.0.0.1", server.port, 2): "MPI_REDIS_PASSWORD",
            RedisPlace("127.0.0.1", server.port, 2, password="sekret"): "MPI_REDIS_PASSWORD",
            RedisPlace(
                "127.0.0.1", server.port, 2, username="ada", password="sekret"
            ): "MPI_REDIS_USERNAME",
            RedisPlace(
                "127.0.0.1", server.port, 2, 9999, password="right-password"
            ): "MPI_REDIS_DB",
        }
        for place, named in wrong.items():
            with pytest.raises(ConfigurationError, match=named) as caught:
                await entering(place, closed).check()
            assert "correct" in caught.value.detail
            assert "sekret" not in caught.value.detail
        with pytest.raises(CacheUnavailable, match="MPI_REDIS_TLS"):
            await entering(RedisPlace("127.0.0.1", server.port, 2, tls=True), closed).check()
    finally:
        server.kill()


async def test_a_server_that_is_away_is_no_wrong_configuration(closed: list[RedisCache]) -> None:
    for host in ("127.0.0.1", "no-such-host.invalid"):
        with pytest.raises(CacheUnavailable, match="REDIS_HOST"):
            await entering(RedisPlace(host, free_port(), 2), closed).check()


async def test_what_is_kept_expires_also_after_the_collection_was_dropped(
    mongod: Mongod, prefix: bytes
) -> None:
    later = 0.0
    cache = mongo_cache(mongod, prefix, now=lambda: time() + later)
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        answers = client["cache"]["answer"]
        await cache.put(KEY, an_answer())
        answers.drop()
        await cache.put(KEY, an_answer())
        later = 60
        await cache.put(b"another", an_answer())
        assert answers.index_information()["expires_1"]["expireAfterSeconds"] == 0
    await cache.close()


async def test_wrong_credentials_of_mongodb_are_named(mongod: Mongod, prefix: bytes) -> None:
    uri = mongod.uri.replace("mongodb://", "mongodb://ada:sekret@")
    cache = mongo_cache(mongod, prefix, uri=uri)
    with pytest.raises(ConfigurationError, match="MONGODB_URI") as caught:
        await cache.check()
    assert "sekret" not in caught.value.detail
    await cache.close()
