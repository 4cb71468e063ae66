"""What is remembered of the last events, and what becomes of it when the index is another one."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mpi.service.changes import RecentChanges
from tests.support.cache import an_answer
from tests.support.index import MARGA, OTTO, Index, indexing

FAR = 10**6


class Restored:
    """A store whose file is replaced by another one while it is open."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture(params=[b"s" * 32, None], ids=["leaving", "staying"])
def secret(request: pytest.FixtureRequest) -> bytes | None:
    """Whether tags leave the process."""
    found: bytes | None = request.param
    return found


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with indexing(tmp_path) as made:
        yield made


async def solitary(index: Index, number: int) -> None:
    await index.add({"last_name": "Solitary", "mrn": f"{number:07}"}, f"m{number}")


async def kept_by(changes: RecentChanges, tags: tuple[int, ...] = ()) -> Any:
    """An answer that was computed just now."""
    position = await changes.catch_up()
    mark = changes.mark(position)
    assert mark is not None
    found = an_answer(tags=tags, position=position)
    return type(found)(found.body, found.status, tags, position, mark, FAR, found.expires)


async def test_only_what_an_event_touched_ends(index: Index, secret: bytes | None) -> None:
    changes = RecentChanges(index.store, secret)
    made = await index.add(MARGA, "1")
    touched = await kept_by(changes, changes.tags([made.mpi_id or ""], []))
    other = await kept_by(changes, changes.tags(["MPI-somebody"], [7]))
    await index.add({**MARGA, "phone": ""}, "2")
    await changes.catch_up()
    assert not changes.holds(touched)
    assert changes.holds(other)
    assert changes.holds(changes.renewed(other))


async def test_history_that_went_on_differently_ends_everything(
    tmp_path: Path, secret: bytes | None
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    async with indexing(before) as index:
        await solitary(index, 1)
    shutil.copytree(before, after)
    async with indexing(before) as first, indexing(after) as second:
        store = Restored(first.store)
        changes = RecentChanges(store, secret)
        early = await kept_by(changes)
        await first.add(MARGA, "2")
        late = await kept_by(changes)
        assert changes.holds(early)
        second.clock.now = second.clock.now.replace(year=2027)
        await second.add(OTTO, "2")
        await second.add(OTTO, "3")
        store.store = second.store
        await changes.catch_up()
        assert not changes.holds(late)


async def test_an_index_that_went_back_ends_what_it_never_knew(
    tmp_path: Path, secret: bytes | None
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    async with indexing(before) as index:
        await solitary(index, 1)
    shutil.copytree(before, after)
    async with indexing(before) as first, indexing(after) as second:
        await first.add(MARGA, "2")
        store = Restored(first.store)
        changes = RecentChanges(store, secret)
        late = await kept_by(changes)
        store.store = second.store
        assert await changes.catch_up() == 1
        assert not changes.holds(late)
        assert changes.holds(await kept_by(changes))


async def test_memory_is_bounded_and_what_is_no_longer_known_counts_as_touched(
    index: Index, secret: bytes | None
) -> None:
    changes = RecentChanges(index.store, secret, most_tags=20)
    first = await kept_by(changes)
    second = None
    for number in range(30):
        await solitary(index, number)
        second = second or await kept_by(changes)
        await changes.catch_up()
    last = await kept_by(changes)
    assert not changes.holds(first)
    assert second is not None
    assert not changes.holds(second)
    assert changes.holds(last)
    assert len(changes._touched) <= 20
    assert len(changes._marks) == len(changes._changes)


async def test_too_many_events_at_once_end_everything(index: Index, secret: bytes | None) -> None:
    changes = RecentChanges(index.store, secret)
    early = await kept_by(changes)
    for number in range(100):
        await solitary(index, number)
    await changes.catch_up()
    assert changes.holds(early)
    for number in range(100, 201):
        await solitary(index, number)
    await changes.catch_up()
    assert not changes.holds(early)
