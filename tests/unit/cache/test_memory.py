"""The memory tier: bounded in entries, in bytes and in time."""

from __future__ import annotations

from mpi.ports import KeptAnswer
from tests.support.cache import an_answer, memory


def answer(size: int = 10, tags: int = 0) -> KeptAnswer:
    return an_answer(b"x" * size, tags=tuple(range(tags)))


async def test_the_least_recently_used_answer_goes_first() -> None:
    cache = memory(entries=2)
    await cache.put(b"first", answer())
    await cache.put(b"second", answer())
    assert await cache.get(b"first")
    await cache.put(b"third", answer())
    assert await cache.get(b"second") is None
    assert await cache.get(b"first")
    assert await cache.get(b"third")


async def test_bytes_are_bounded_whatever_the_answers_weigh() -> None:
    cache = memory(size=100_000)
    for number in range(200):
        await cache.put(b"%d" % number, answer(size=9_000))
    kept = [n for n in range(200) if await cache.get(b"%d" % n)]
    assert 5 <= len(kept) <= 11
    assert kept == list(range(200 - len(kept), 200))


async def test_tags_count_as_bytes() -> None:
    cache = memory(size=100_000)
    for number in range(50):
        await cache.put(b"%d" % number, answer(tags=500))
    assert sum([await cache.get(b"%d" % n) is not None for n in range(50)]) < 10


async def test_replacing_and_expiring_give_their_bytes_back() -> None:
    clock = [0.0]
    cache = memory(size=30_000, now=lambda: clock[0])
    for number in range(50):
        clock[0] = number
        await cache.put(b"same", an_answer(b"x" * 9_000, expires=number + 0.5))
        await cache.put(b"same", an_answer(b"x" * 9_000, expires=number + 0.5))
        await cache.put(b"other", an_answer(b"x" * 9_000, expires=number + 0.5))
        assert await cache.get(b"same")
        assert await cache.get(b"other")
        clock[0] += 0.5
        assert await cache.get(b"other") is None


async def test_an_answer_larger_than_the_tier_is_not_kept_and_pushes_nobody_out() -> None:
    cache = memory(size=20_000)
    await cache.put(b"small", answer())
    await cache.put(b"large", answer(size=50_000))
    assert await cache.get(b"large") is None
    assert await cache.get(b"small")
