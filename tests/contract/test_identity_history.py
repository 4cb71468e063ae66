"""What every store must remember: events, what came after them, and tasks."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from mpi.domain.identity import (
    NEW_PERSON,
    EventKind,
    IdentityChange,
    TaskKind,
    TaskStatus,
    TaskUpdate,
)
from mpi.errors import ConcurrentChange, InvalidInput, NotFound, PreconditionFailed
from tests.contract.changes import (
    NOON,
    change,
    create,
    created,
    delete,
    key,
    link,
    merge,
    merged,
    move,
    not_same,
    record,
    review,
)
from tests.contract.conftest import Store


class TestEvents:
    async def test_come_in_order_and_from_any_position(self, store: Store) -> None:
        made = [(await store.commit(create(i))).event for i in "123"]
        assert await store.events() == tuple(made)
        assert [e.seq for e in made] == [1, 2, 3]
        assert await store.events(after=1) == tuple(made[1:])
        assert await store.events(after=1, limit=1) == (made[1],)
        assert await store.events(after=3) == ()
        assert await store.position() == 3

    async def test_are_found_by_id_however_typed(self, store: Store) -> None:
        made = (await store.commit(create("1"))).event
        assert await store.event(made.event_id) == made
        assert await store.event(f" {made.event_id.lower()} ") == made
        assert await store.event("EVT-000000002") is None
        assert await store.event("nonsense") is None

    async def test_of_a_person_are_those_that_touched_it(self, store: Store) -> None:
        first, second = await created(store, "1"), await created(store, "2")
        await created(store, "3")
        await merged(store, first, second)
        assert [e.seq for e in await store.events(mpi_id=first)] == [1, 4]
        assert [e.seq for e in await store.events(mpi_id=second)] == [2, 4]
        assert [e.seq for e in await store.events(mpi_id=second, after=2)] == [4]
        assert await store.events(mpi_id="MPI-00000000X") == ()

    async def test_tell_everything_about_a_change(self, store: Store) -> None:
        first, second, third = [await created(store, i) for i in "123"]
        await store.commit(
            change(
                EventKind.ASSERTED,
                reason="they sat beside each other",
                assertions=(not_same("1", "3"),),
            )
        )
        person = await store.person(second)
        assert person is not None
        event = (await store.commit(merge(first, person, lift=(not_same("1", "3"),)))).event
        assert await store.event(event.event_id) == event
        assert event.moves == (move("2", second, first),)
        assert event.retired == ((second, first),)
        assert set(event.persons) == {first, second, third}
        assert event.lifted == (not_same("1", "3"),)
        asserted = (await store.events(after=3, limit=1))[0]
        assert asserted.asserted == (not_same("1", "3"),)
        assert asserted.reason == "they sat beside each other"

    async def test_of_a_record_are_those_that_touched_it(self, store: Store) -> None:
        first, second = await created(store, "1"), await created(store, "2")
        await merged(store, first, second)
        await store.commit(
            change(
                EventKind.ASSERTED,
                assertions=(not_same("1", "2"),),
                moves=(move("2", first, NEW_PERSON),),
            )
        )
        assert [e.seq for e in await store.record_events(key("1"))] == [1, 4]
        assert [e.seq for e in await store.record_events(key("2"))] == [2, 3, 4]
        assert await store.record_events(key("unknown")) == ()

    async def test_may_change_nothing_but_themselves(self, store: Store) -> None:
        made = await store.commit(change(EventKind.TASK_CLAIMED))
        assert (made.mpi_id, made.event.persons, made.event.moves) == (None, (), ())


class TestTouched:
    async def test_are_persons_and_keys_before_and_after(self, store: Store, other: Store) -> None:
        first = await created(store, "1", 10)
        await store.commit(change(record=record("1", 11, 12, family="JONES")))
        second = await created(other, "2", 20)
        await store.commit(delete("1", first, last=True))
        back = change(
            EventKind.REVIVED,
            record=record("1", 13),
            moves=(move("1", None, first),),
            revive=(first,),
        )
        await other.commit(back)
        events = await store.events()
        for each in (store, other):
            found = await each.touched(1, 5)
            assert [(t.seq, t.at, t.persons) for t in found] == [
                (e.seq, e.at, e.persons) for e in events
            ]
            assert [t.persons for t in found] == [(first,), (first,), (second,), (first,), (first,)]
            wanted: list[set[int]] = [{10}, {10, 11, 12}, {20}, {11, 12}, {11, 12, 13}]
            assert all(w <= t.keys for w, t in zip(wanted, found, strict=True))
            others = [{20}, {20}, {10, 11, 12, 13}, {20}, {20}]
            assert all(t.keys.isdisjoint(o) for o, t in zip(others, found, strict=True))

    async def test_come_in_order_as_far_as_there_are_any(self, store: Store) -> None:
        for number in range(1, 6):
            await created(store, str(number), number)
        assert [t.seq for t in await store.touched(2, 4)] == [2, 3, 4]
        assert [t.seq for t in await store.touched(4, 9)] == [4, 5]
        assert await store.touched(1, 0) == ()
        assert await store.touched(4, 1) == ()
        assert await store.touched(6, 9) == ()

    async def test_are_both_persons_of_a_merge_in_one_order(
        self, store: Store, other: Store
    ) -> None:
        first, second = await created(store, "1"), await created(store, "2")
        await merged(store, second, first)
        for each in (store, other):
            (found,) = await each.touched(3, 3)
            assert found.persons == tuple(sorted((first, second)))


class TestUndoing:
    @pytest.fixture
    async def merge_of_two(self, store: Store) -> IdentityChange:
        """The undo of the merge of two persons."""
        first, second = await created(store, "1"), await created(store, "2")
        person = await store.person(second)
        assert person is not None
        done = (await store.commit(merge(first, person))).event
        return change(
            EventKind.UNDONE,
            moves=(move("2", first, second),),
            revive=(second,),
            undoes=done.event_id,
        )

    async def test_marks_the_undone_event(self, store: Store, merge_of_two: IdentityChange) -> None:
        undo = (await store.commit(merge_of_two)).event
        assert undo.undoes == merge_of_two.undoes
        assert merge_of_two.undoes is not None
        merge_event = await store.event(merge_of_two.undoes)
        assert merge_event is not None
        assert merge_event.undone_by == undo.event_id
        assert (await store.events())[2] == merge_event

    async def test_of_the_undo_puts_the_event_in_force_again(
        self, store: Store, merge_of_two: IdentityChange
    ) -> None:
        undo = (await store.commit(merge_of_two)).event
        (back,) = undo.moves
        await store.commit(
            change(
                EventKind.UNDONE,
                moves=(move("2", back.target, back.origin),),
                retire=((undo.revived[0], back.origin),),
                undoes=undo.event_id,
            )
        )
        assert [e.undone_by for e in (await store.events())[2:]] == [
            None,
            (await store.events())[4].event_id,
            None,
        ]


class TestLaterEvents:
    async def test_touch_a_record_or_a_person_of_the_event(self, store: Store) -> None:
        first, second = await created(store, "1"), await created(store, "2")
        person = await store.person(second)
        assert person is not None
        event = (await store.commit(merge(first, person))).event
        assert await store.later_events(event) == ()
        await created(store, "3")
        await store.commit(change(EventKind.MOVED, moves=(move("2", first, NEW_PERSON),)))
        await store.commit(link("4", first))
        await store.commit(change(record=record("2", family="JONES")))
        assert [e.seq for e in await store.later_events(event)] == [5, 6, 7]

    async def test_include_assertions(self, store: Store) -> None:
        event = (await store.commit(create("1"))).event
        await created(store, "2")
        await store.commit(change(EventKind.ASSERTED, assertions=(not_same("2", "1"),)))
        assert [e.kind for e in await store.later_events(event)] == [EventKind.ASSERTED]


class TestTasks:
    async def test_are_opened_with_the_change(self, store: Store) -> None:
        first = await created(store, "1")
        made = await store.commit(create("2", tasks=(review("2", first, NEW_PERSON),)))
        (task_id,) = made.task_ids
        task = await store.task(task_id)
        assert task is not None
        assert (task.kind, task.status, task.version) == (TaskKind.REVIEW, TaskStatus.OPEN, 1)
        assert (task.record, task.candidates) == (key("2"), (first, made.mpi_id))
        assert (task.weight, task.reason, task.opened_at) == (3.5, "ambiguous", NOON)
        assert (task.assignee, task.outcome, task.decided_at) == (None, None, None)
        assert (await store.statistics())["tasks_open"] == 1

    async def test_an_open_one_is_not_opened_again(self, store: Store) -> None:
        first = await created(store, "1")
        asked = (review("1", first), review("1", first, kind=TaskKind.OVERLAY))
        opened = (await store.commit(change(tasks=asked))).task_ids
        assert len(set(opened)) == 2
        assert (await store.commit(change(tasks=asked[::-1]))).task_ids == opened[::-1]
        await store.commit(change(task_updates=(TaskUpdate(opened[0], TaskStatus.CLAIMED, "ann"),)))
        assert (await store.commit(change(tasks=asked[:1]))).task_ids == opened[:1]
        await store.commit(change(task_updates=(TaskUpdate(opened[0], TaskStatus.DECIDED),)))
        assert (await store.commit(change(tasks=asked[:1]))).task_ids[0] > opened[1]

    async def test_are_claimed_decided_and_opened_again(self, store: Store) -> None:
        first = await created(store, "1")
        (task_id,) = (await store.commit(change(tasks=(review("1", first),)))).task_ids
        claim = TaskUpdate(task_id, TaskStatus.CLAIMED, assignee="ann")
        await store.commit(change(EventKind.TASK_CLAIMED, task_updates=(claim,)))
        claimed = await store.task(task_id)
        assert claimed is not None
        assert (claimed.status, claimed.assignee, claimed.version) == ("claimed", "ann", 2)
        decision = TaskUpdate(task_id, TaskStatus.DECIDED, outcome="same")
        await store.commit(change(EventKind.TASK_DECIDED, task_updates=(decision,)))
        decided = await store.task(task_id)
        assert decided is not None
        assert (decided.assignee, decided.outcome, decided.decided_at) == ("ann", "same", NOON)
        assert (await store.statistics())["tasks_open"] == 0
        with pytest.raises(ConcurrentChange):
            await store.commit(change(EventKind.TASK_DECIDED, task_updates=(decision,)))
        reopening = TaskUpdate(task_id, TaskStatus.OPEN)
        await store.commit(change(EventKind.UNDONE, task_updates=(reopening,)))
        opened = await store.task(task_id)
        assert opened is not None
        assert (opened.status, opened.assignee, opened.outcome) == (TaskStatus.OPEN, None, None)
        assert (await store.statistics())["tasks_open"] == 1

    async def test_may_be_put_off_until_a_time(self, store: Store) -> None:
        first = await created(store, "1")
        (task_id,) = (await store.commit(change(tasks=(review("1", first),)))).task_ids
        until = NOON + timedelta(days=1)
        later = TaskUpdate(task_id, TaskStatus.OPEN, deferred_until=until)
        await store.commit(change(EventKind.TASK_DEFERRED, task_updates=(later,)))
        for status in (None, TaskStatus.OPEN):
            assert await store.tasks(status, due=NOON) == ()
            (due,) = await store.tasks(status, due=until)
            assert (due.task_id, due.deferred_until) == (task_id, until)
            assert await store.tasks(status) == (due,)
            assert await store.undecided(first) == (due,)
        claim = TaskUpdate(task_id, TaskStatus.CLAIMED, "ann")
        await store.commit(change(EventKind.TASK_CLAIMED, task_updates=(claim,)))
        (claimed,) = await store.tasks(TaskStatus.CLAIMED, due=NOON)
        assert claimed.deferred_until is None

    async def test_guard_against_stale_screens(self, store: Store) -> None:
        first = await created(store, "1")
        (task_id,) = (await store.commit(change(tasks=(review("1", first),)))).task_ids
        claim = (TaskUpdate(task_id, TaskStatus.CLAIMED, "ann"),)
        await store.commit(change(task_updates=claim, expected_versions=((task_id, 1),)))
        with pytest.raises(PreconditionFailed):
            await store.commit(change(task_updates=claim, expected_versions=((task_id, 1),)))

    async def test_unknown_ones_are_not_found(self, store: Store) -> None:
        assert await store.task("TSK-000000017") is None
        assert await store.task("nonsense") is None
        with pytest.raises(NotFound):
            await store.commit(
                change(task_updates=(TaskUpdate("TSK-000000017", TaskStatus.CLAIMED),))
            )

    async def test_are_listed_by_status_in_pages(self, store: Store) -> None:
        opened: list[str] = []
        for source_id in "123":
            mpi_id = await created(store, source_id)
            opened += (await store.commit(change(tasks=(review(source_id, mpi_id),)))).task_ids
        await store.commit(change(task_updates=(TaskUpdate(opened[1], TaskStatus.DECIDED),)))

        async def listed(status: TaskStatus | None, after: str | None = None) -> list[str]:
            return [t.task_id for t in await store.tasks(status, after, limit=2)]

        assert await listed(None) == opened[:2]
        assert await listed(None, opened[1]) == opened[2:]
        assert await listed(TaskStatus.OPEN) == [opened[0], opened[2]]
        assert await listed(TaskStatus.OPEN, opened[0]) == [opened[2]]
        assert await listed(TaskStatus.DECIDED) == [opened[1]]
        with pytest.raises(InvalidInput):
            await store.tasks(None, "nonsense")

    async def test_are_found_from_their_persons(self, store: Store) -> None:
        first, second, third = [await created(store, i) for i in "123"]
        ids = (await store.commit(change(tasks=(review("1", second),)))).task_ids
        for mpi_id in (first, second):
            assert tuple(t.task_id for t in await store.undecided(mpi_id)) == ids
        assert await store.undecided(third) == ()
        assert await store.undecided("nonsense") == ()

    async def test_are_all_found_however_many_were_decided_before(self, store: Store) -> None:
        first, second = [await created(store, i) for i in "12"]
        for _ in range(101):
            (settled,) = (await store.commit(change(tasks=(review("1", second),)))).task_ids
            decided = TaskUpdate(settled, TaskStatus.DECIDED)
            await store.commit(change(task_updates=(decided,)))
        asked = (review("1", second), review("2", first, kind=TaskKind.OVERLAY))
        claimed, left = (await store.commit(change(tasks=asked))).task_ids
        taken = TaskUpdate(claimed, TaskStatus.CLAIMED, "ann")
        await store.commit(change(task_updates=(taken,)))
        found = await store.undecided(first)
        assert [t.task_id for t in found] == [claimed, left]


class TestCounting:
    async def test_follows_every_change(self, store: Store) -> None:
        first, second = await created(store, "1"), await created(store, "2")
        await merged(store, first, second)
        assert await store.statistics() == {
            "records": 2,
            "persons": 1,
            "retired": 1,
            "tasks_open": 0,
            "assertions": 0,
            "events": 3,
        }

    async def test_the_crosswalk_lists_every_active_record(self, store: Store) -> None:
        second = await created(store, "2")
        first = await created(store, "1")
        await store.commit(link("10", first))
        assert [row async for row in store.crosswalk()] == [
            (key("1"), first),
            (key("10"), first),
            (key("2"), second),
        ]

    async def test_a_crosswalk_that_is_given_up_leaves_no_read_open(self, store: Store) -> None:
        for number in range(3):
            await created(store, str(number))
        left: list[AsyncGenerator[object, None]] = []
        before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=left.append)  # told of what nobody has closed
        try:
            rows = store.crosswalk()
            await anext(rows)
            await rows.aclose()
        finally:
            sys.set_asyncgen_hooks(*before)
        for forgotten in left:
            await forgotten.aclose()
        assert left == []
