"""What every store must do with several changes that are committed as one."""

from __future__ import annotations

import pytest

from mpi.domain.identity import NEW_PERSON, EventKind
from mpi.errors import ConcurrentChange, Conflict, PreconditionFailed
from tests.contract.changes import change, create, created, key, link, merge, move, plain
from tests.contract.conftest import Store


class TestSeveralChanges:
    @pytest.fixture
    async def two(self, store: Store) -> tuple[str, str]:
        return await created(store, "1", 10), await created(store, "2", 20)

    async def test_become_one_event_each_in_their_order(
        self, store: Store, two: tuple[str, str]
    ) -> None:
        first, second = two
        person = await store.person(second)
        assert person is not None
        done = await store.commit(merge(first, person), link("3", first, 30))
        assert (done.event.kind, done.mpi_id) == (EventKind.LINKED, first)
        assert [e.kind for e in await store.events(after=2)] == [
            EventKind.MERGED,
            EventKind.LINKED,
        ]

    async def test_are_all_refused_when_one_is(self, store: Store, two: tuple[str, str]) -> None:
        first, second = two
        person = await store.person(second)
        assert person is not None
        wrong = change(EventKind.MOVED, moves=(move("1", first, NEW_PERSON),))
        with pytest.raises(Conflict):
            await store.commit(merge(first, person), create("3"), wrong, link("1", first))
        assert await store.position() == 2
        assert await store.record(key("3")) is None
        assert (await store.statistics())["retired"] == 0

    async def test_see_those_before_them(self, store: Store) -> None:
        done = await store.commit(create("1"), change(EventKind.UPDATED, moves=()))
        assert done.event.seq == 2
        moved = change(EventKind.MOVED, moves=(move("2", None, NEW_PERSON),))
        with pytest.raises(Conflict):
            await store.commit(moved)

    async def test_are_guarded_by_the_index_before_the_first(
        self, store: Store, two: tuple[str, str]
    ) -> None:
        first, second = two
        around = await store.candidates(plain(10, 20))
        person = await store.person(second)
        assert person is not None
        guard = {"position": around.position, "guard_keys": (10, 20)}
        seen = {"expected_versions": ((first, 1),)}
        await store.commit(merge(first, person, **guard), link("3", first, 10, **guard, **seen))
        late = link("4", first, 10, **guard)
        with pytest.raises(ConcurrentChange):
            await store.commit(create("5"), late)
        with pytest.raises(PreconditionFailed):
            await store.commit(create("5"), link("4", first, 10, **seen))
        assert await store.record(key("5")) is None
