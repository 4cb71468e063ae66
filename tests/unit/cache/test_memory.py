"""The memory tier: bounded in entries, in bytes and in time."""

from __future__ import annotations

from dataclasses import dataclass

from mpi.ports import KeptAnswer
from tests.support.cache import memory


def answer(size: int = 10, tags: tuple[bytes, ...] = ()) -> KeptAnswer:
    return KeptAnswer(b"x" * size, "matched", tags, position=1, valid_until=9)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


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
        await cache.put(b"%d" % number, answer(tags=tuple(b"%d" % n for n in range(100))))
    assert sum([await cache.get(b"%d" % n) is not None for n in range(50)]) < 10


async def test_replacing_and_forgetting_give_their_bytes_back() -> None:
    cache = memory(size=30_000)
    for _ in range(50):
        await cache.put(b"same", answer(size=9_000, tags=(b"t",)))
    await cache.put(b"other", answer(size=9_000, tags=(b"t",)))
    assert await cache.get(b"same")
    for position in range(2, 50):
        await cache.forget(0, {b"t"} if position % 2 else None)
        await cache.put(b"same", answer(size=9_000, tags=(b"t",)))
        await cache.put(b"other", answer(size=9_000, tags=(b"t",)))
    assert await cache.get(b"same")
    assert await cache.get(b"other")


async def test_an_answer_larger_than_the_tier_is_not_kept_and_pushes_nobody_out() -> None:
    cache = memory(size=20_000)
    await cache.put(b"small", answer())
    await cache.put(b"large", answer(size=50_000))
    assert await cache.get(b"large") is None
    assert await cache.get(b"small")


async def test_an_answer_ends_after_its_time_and_not_long_before() -> None:
    clock = Clock()
    cache = memory(ttl=100.0, ticks=clock)
    await cache.put(b"key", answer())
    clock.now = 89.9
    assert await cache.get(b"key")
    clock.now = 100.0
    assert await cache.get(b"key") is None


async def test_answers_made_together_do_not_all_end_together() -> None:
    clock = Clock()
    cache = memory(ttl=100.0, ticks=clock)
    for number in range(200):
        await cache.put(b"%d" % number, answer())
    clock.now = 95.0
    left = sum([await cache.get(b"%d" % n) is not None for n in range(200)])
    assert 40 < left < 160
