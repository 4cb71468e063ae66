"""What settles a question without anybody deciding its task: merges, moves, registrations and deletions."""

from __future__ import annotations

from mpi.domain.identity import EventKind, NewTask, TaskKind, TaskStatus
from tests.contract.changes import change
from tests.support.index import (
    MARGA,
    MARGA_BY_BIRTH,
    MARGA_BY_NUMBER,
    MARGA_IN_DOUBT,
    OTTO,
    Index,
    key,
)
from tests.support.stewards import BECAUSE, doubtful


async def test_a_merge_settles_the_tasks_about_the_two_persons(index: Index) -> None:
    first, second, task = await doubtful(index)
    third = (await index.add(OTTO, "3")).mpi_id or ""
    wider = NewTask(TaskKind.MERGE, key("1"), (second, third), None, "two_certain_persons")
    (more,) = (await index.store.commit(change(tasks=(wider,)))).task_ids
    await index.stewards.merge(first, second, **BECAUSE)
    settled = await index.stewards.task(task)
    assert (settled.status, settled.outcome, settled.assignee) == (
        TaskStatus.DECIDED,
        "same",
        "eve",
    )
    left = [t.task_id for t in await index.stewards.tasks(TaskStatus.OPEN, None, 10)]
    assert left == [more], "what asks about a third person still asks"


async def test_same_and_the_move_of_a_last_record_settle_tasks_as_a_merge_does(
    index: Index,
) -> None:
    first, _, task = await doubtful(index)
    moved = await index.stewards.move(key("2"), first, **BECAUSE)
    assert (await index.stewards.task(task)).outcome == "same"
    await index.stewards.undo(moved.event_id or "", **BECAUSE)
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN
    await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    assert (await index.stewards.task(task)).outcome == "same"


async def test_undoing_a_merge_asks_again_what_it_had_settled(index: Index) -> None:
    first, second, task = await doubtful(index)
    merged = await index.stewards.merge(first, second, **BECAUSE)
    undone = await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    assert (await index.stewards.task(task)).outcome == "same"
    assert (await index.mpi.statistics())["tasks_open"] == 0


async def test_what_was_asked_about_a_deleted_record_leaves_the_queue(index: Index) -> None:
    *_, task = await doubtful(index)
    overlay = await index.add(OTTO, "1")
    assert overlay.task_id is not None
    await index.mpi.delete_record(key("1"), actor="ada")
    await index.mpi.delete_record(key("2"), actor="ada")
    for asked in (task, overlay.task_id):
        settled = await index.stewards.task(asked)
        assert (settled.status, settled.outcome) == (TaskStatus.DECIDED, "deleted")
    assert (await index.mpi.statistics())["tasks_open"] == 0
    assert (await index.add(MARGA_IN_DOUBT, "2")).status == "created"


async def test_a_question_that_registrations_answer_is_settled_until_that_is_undone(
    index: Index,
) -> None:
    one, other = await index.add(MARGA_BY_NUMBER, "1"), await index.add(MARGA_BY_BIRTH, "2")
    question = NewTask(TaskKind.REVIEW, key("2"), (one.mpi_id or "",), None, "alike")
    (task,) = await index.stewards.ask([question], **BECAUSE)
    await index.add(MARGA, "3")
    assert len(set((await index.partition()).values())) == 1
    found = await index.stewards.task(task)
    assert (found.status, found.outcome) == (TaskStatus.DECIDED, "same")
    (merge,) = [e for e in await index.store.events() if e.kind is EventKind.MERGED]
    await index.stewards.undo(merge.event_id, **BECAUSE)
    assert await index.owner("2") == other.mpi_id
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN


async def test_a_question_in_the_hands_of_a_steward_stays_whatever_is_registered(
    index: Index,
) -> None:
    *_, task = await doubtful(index)
    await index.stewards.claim(task, actor="eve")
    await index.add(MARGA, "2")
    assert len(set((await index.partition()).values())) == 1
    assert (await index.stewards.task(task)).status is TaskStatus.CLAIMED
    await index.stewards.decide(task, "same", **BECAUSE)
