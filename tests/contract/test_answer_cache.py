"""What every tier of the cache promises."""

from __future__ import annotations

import pytest

from mpi.ports import AnswerCache, KeptAnswer
from tests.support.cache import memory


@pytest.fixture(params=["memory"])
def cache() -> AnswerCache:
    return memory()


def answer(
    body: bytes = b'{"mpi_id":null}', *, tags: tuple[bytes, ...] = (b"a", b"b"), position: int = 5
) -> KeptAnswer:
    return KeptAnswer(body, "no_match", tags, position, valid_until=position + 100)


async def test_what_was_put_is_got_whole(cache: AnswerCache) -> None:
    await cache.put(b"key", answer())
    assert await cache.get(b"key") == answer()


async def test_an_unknown_key_has_no_answer(cache: AnswerCache) -> None:
    await cache.put(b"key", answer())
    assert await cache.get(b"another") is None


async def test_the_later_answer_replaces_the_earlier_one(cache: AnswerCache) -> None:
    await cache.put(b"key", answer(b"{}", tags=(b"old",)))
    await cache.put(b"key", answer(b"[]", tags=(b"new",)))
    await cache.forget(5, {b"old"})
    kept = await cache.get(b"key")
    assert kept is not None
    assert kept.body == b"[]"


@pytest.mark.parametrize("tag", [b"a", b"b"])
async def test_any_of_its_tags_ends_an_answer(cache: AnswerCache, tag: bytes) -> None:
    await cache.put(b"key", answer())
    await cache.forget(6, {tag, b"unknown"})
    assert await cache.get(b"key") is None


async def test_answers_without_the_tag_stay(cache: AnswerCache) -> None:
    await cache.put(b"key", answer())
    await cache.put(b"other", answer(tags=(b"c",)))
    await cache.forget(6, {b"a"})
    assert await cache.get(b"other") == answer(tags=(b"c",))


async def test_everything_can_be_forgotten_at_once(cache: AnswerCache) -> None:
    await cache.put(b"key", answer())
    await cache.put(b"untagged", answer(tags=()))
    await cache.forget(6, None)
    assert await cache.get(b"key") is None
    assert await cache.get(b"untagged") is None


@pytest.mark.parametrize("tags", [{b"a"}, {b"unrelated"}, set(), None])
async def test_an_answer_older_than_what_was_forgotten_is_not_kept(
    cache: AnswerCache, tags: set[bytes] | None
) -> None:
    """It was computed before those events and may miss them, whatever it is tagged with."""
    await cache.forget(6, tags)
    await cache.put(b"key", answer(position=5))
    assert await cache.get(b"key") is None
    await cache.put(b"key", answer(position=6))
    assert await cache.get(b"key") == answer(position=6)


async def test_a_restored_index_starts_again_at_an_earlier_event(cache: AnswerCache) -> None:
    await cache.forget(900, None)
    await cache.forget(4, None)
    await cache.put(b"key", answer(position=5))
    assert await cache.get(b"key") == answer(position=5)


async def test_a_forgotten_key_can_be_filled_again(cache: AnswerCache) -> None:
    await cache.put(b"key", answer())
    await cache.forget(6, {b"a"})
    await cache.put(b"key", answer(position=7))
    await cache.forget(8, {b"b"})
    assert await cache.get(b"key") is None


async def test_the_repr_of_an_answer_shows_nothing_of_it(cache: AnswerCache) -> None:
    await cache.put(b"key", answer(b'{"mpi_id":"MPI-000000016"}'))
    assert "MPI-" not in repr(await cache.get(b"key"))
