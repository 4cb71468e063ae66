"""What every tier of the cache promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from time import time
from uuid import uuid4

import pytest

from mpi.ports import AnswerCache
from tests.support.cache import an_answer, memory, mongo_cache, redis_cache


@pytest.fixture(params=["memory", "redis", "mongodb"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[AnswerCache]:
    prefix = f"test:{uuid4().hex}:".encode()
    if request.param == "memory":
        yield memory()
        return
    server = request.getfixturevalue({"redis": "valkey", "mongodb": "mongod"}[request.param])
    remote = (redis_cache if request.param == "redis" else mongo_cache)(server, prefix)
    yield remote
    await remote.close()


async def test_what_was_put_is_got_whole(cache: AnswerCache) -> None:
    for answer in (an_answer(), an_answer(b"\x00\xff" * 5000, tags=()), an_answer(b"")):
        await cache.put(b"key", answer)
        assert await cache.get(b"key") == answer


async def test_an_unknown_key_has_no_answer(cache: AnswerCache) -> None:
    await cache.put(b"key", an_answer())
    assert await cache.get(b"another") is None


async def test_the_later_answer_replaces_the_earlier_one(cache: AnswerCache) -> None:
    later = an_answer(b"[]", tags=(3,), position=9)
    await cache.put(b"key", an_answer(b"{}"))
    await cache.put(b"key", later)
    assert await cache.get(b"key") == later


async def test_answers_under_many_keys_are_kept_apart(cache: AnswerCache) -> None:
    answers = {bytes([n]): an_answer(bytes([n]), position=n) for n in range(50)}
    await asyncio.gather(*(cache.put(key, answer) for key, answer in answers.items()))
    found = await asyncio.gather(*map(cache.get, answers))
    assert found == list(answers.values())


async def test_an_expired_answer_is_never_got(cache: AnswerCache) -> None:
    await cache.put(b"key", an_answer(expires=time() - 0.001))
    assert await cache.get(b"key") is None
    soon = an_answer(expires=time() + 0.3)
    await cache.put(b"key", soon)
    assert await cache.get(b"key") == soon
    await asyncio.sleep(soon.expires - time() + 0.001)
    assert await cache.get(b"key") is None


async def test_the_repr_of_an_answer_shows_nothing_of_it(cache: AnswerCache) -> None:
    await cache.put(b"key", replace(an_answer(), body=b'{"mpi_id":"MPI-000000016"}'))
    assert "MPI-" not in repr(await cache.get(b"key"))
