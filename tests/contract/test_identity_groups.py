"""Commits that become durable together."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

import pytest

from mpi.errors import Conflict
from tests.contract.changes import (
    change,
    create,
    created,
    key,
    plain,
    record,
)
from tests.contract.conftest import Store


class TestGroups:
    async def test_commits_are_seen_inside_at_once_and_outside_at_the_end(
        self, store: Store, other: Store
    ) -> None:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def writer() -> None:
            async with store.group():
                await created(store, "1", 10)
                assert await store.record(key("1")) is not None
                assert len((await store.candidates(plain(10))).persons) == 1
                entered.set()
                await leave.wait()

        writing = asyncio.create_task(writer())
        await entered.wait()
        for outside in (store, other):
            assert await outside.record(key("1")) is None
            assert (await outside.candidates(plain(10))).persons == ()
            assert await outside.position() == 0
        leave.set()
        await writing
        for outside in (store, other):
            assert await outside.record(key("1")) is not None

    async def test_a_failing_block_leaves_nothing(self, store: Store) -> None:
        async def failing() -> None:
            async with store.group():
                await created(store, "1", 10)
                assert len((await store.candidates(plain(10))).persons) == 1
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await failing()
        assert await store.position() == 0
        assert (await store.candidates(plain(10))).persons == ()
        # The numbers are given again, to somebody else.
        await store.commit(create("2", 10, family="JONES"))
        (person,) = (await store.candidates(plain(10))).persons
        assert person.records[0].standard.family == ("JONES",)

    async def test_a_refused_commit_leaves_the_others(self, store: Store) -> None:
        async with store.group():
            await created(store, "1", 10)
            with pytest.raises(Conflict):
                await store.commit(change(record=record("9", 10)))
            await created(store, "2", 10)
        first, second = (await store.candidates(plain(10))).persons
        assert (first.records[0].key, second.records[0].key) == (key("1"), key("2"))
        assert [e.seq for e in await store.events()] == [1, 2]

    async def test_other_writers_wait_for_the_end(self, store: Store, other: Store) -> None:
        done: list[str] = []
        outside = copy_context()

        async def later(on: Store, source_id: str) -> None:
            await created(on, source_id)
            done.append(source_id)

        async with store.group():
            await created(store, "1")
            # Started from a context of its own: a task inherits the group of the task that starts it.
            waiting = [
                asyncio.get_running_loop().create_task(later(s, i), context=outside.copy())
                for s, i in ((store, "2"), (other, "3"))
            ]
            await asyncio.sleep(0.05)
            assert done == []
        await asyncio.gather(*waiting)
        assert sorted(done) == ["2", "3"]

    async def test_a_group_inside_a_group_belongs_to_it(self, store: Store) -> None:
        async def failing() -> None:
            async with store.group():
                async with store.group():
                    await created(store, "1")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await failing()
        assert await store.position() == 0
