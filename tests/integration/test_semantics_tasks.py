"""What the queue of questions means."""

from __future__ import annotations

import pytest

from mpi.domain.identity import AssertionKind, TaskKind, TaskStatus
from mpi.errors import Conflict, InvalidInput, NotFound
from tests.support.index import (
    MARGA,
    MARGA_IN_DOUBT,
    OTTO,
    Index,
    key,
)
from tests.support.stewards import BECAUSE, doubtful, kinds


async def test_review_makes_a_person_of_its_own_and_a_task(index: Index) -> None:
    first = await index.add(MARGA, "1")
    doubt = await index.add(MARGA_IN_DOUBT, "2")
    assert doubt.status == "review"
    assert doubt.mpi_id not in (None, first.mpi_id)
    task = await index.stewards.task(doubt.task_id or "")
    assert (task.kind, task.record) == (TaskKind.REVIEW, key("2"))
    assert task.candidates == (first.mpi_id,)


async def test_replaying_a_review_answers_the_same_person_and_task(index: Index) -> None:
    await index.add(MARGA, "1")
    doubt = await index.add(MARGA_IN_DOUBT, "2")
    again = await index.add(MARGA_IN_DOUBT, "2")
    assert (again.status, again.mpi_id, again.task_id) == ("review", doubt.mpi_id, doubt.task_id)
    assert again.event_id is None
    assert len(await index.stewards.tasks(None, None, 10)) == 1


async def test_a_query_in_the_grey_names_candidates_and_no_person(index: Index) -> None:
    made = await index.add(MARGA, "1")
    asked = await index.ask(MARGA_IN_DOUBT)
    assert (asked.status, asked.mpi_id) == ("review", None)
    assert [c.mpi_id for c in asked.candidates] == [made.mpi_id]


async def test_a_claimed_task_is_one_steward_s(index: Index) -> None:
    *_, task = await doubtful(index)
    claimed = await index.stewards.claim(task, actor="eve")
    assert (claimed.status, claimed.assignee) == (TaskStatus.CLAIMED, "eve")
    with pytest.raises(Conflict):
        await index.stewards.claim(task, actor="bob")
    assert (await index.stewards.claim(task, actor="eve")).assignee == "eve"


async def test_a_task_decided_same_merges_and_is_done(index: Index) -> None:
    one, other, task = await doubtful(index)
    await index.stewards.decide(task, "same", **BECAUSE)
    assert await index.partition() == {"1": one, "2": one}
    assert (await index.mpi.person(other)).mpi_id == one
    done = await index.stewards.task(task)
    assert (done.status, done.outcome) == (TaskStatus.DECIDED, "same")
    with pytest.raises(Conflict):
        await index.stewards.decide(task, "same", **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.claim(task, actor="eve")


async def test_a_task_decided_not_same_keeps_them_apart(index: Index) -> None:
    one, other, task = await doubtful(index)
    await index.stewards.decide(task, "not-same", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    assert await kinds(index, "2") == [AssertionKind.NOT_SAME]
    assert await index.stewards.tasks(TaskStatus.OPEN, None, 10) == ()


async def test_an_unknown_outcome_or_task_is_refused(index: Index) -> None:
    *_, task = await doubtful(index)
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "maybe", **BECAUSE)
    with pytest.raises(NotFound):
        await index.stewards.decide("unknown", "same", **BECAUSE)


async def test_among_several_candidates_the_steward_names_one(index: Index) -> None:
    one = await index.add(MARGA, "1")
    other = await index.add(MARGA_IN_DOUBT, "2")
    third = await index.add({**MARGA, "ssn": "301-17-2246"}, "3")
    task = third.task_id or ""
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "same", **BECAUSE)
    await index.stewards.decide(task, "same", mpi_id=other.mpi_id, **BECAUSE)
    assert await index.owner("3") == other.mpi_id != one.mpi_id


async def test_an_update_in_doubt_may_leave_for_a_person_of_its_own(index: Index) -> None:
    one = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    doubt = await index.add({**OTTO, "first_name": MARGA["first_name"], "sex": "F"}, "2")
    moved = await index.stewards.decide(doubt.task_id or "", "new", **BECAUSE)
    assert await index.partition() == {"1": one.mpi_id, "2": moved.mpi_id}
    assert moved.mpi_id != one.mpi_id


async def test_an_update_in_doubt_may_stay(index: Index) -> None:
    one = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    doubt = await index.add({**OTTO, "first_name": MARGA["first_name"], "sex": "F"}, "2")
    await index.stewards.decide(doubt.task_id or "", "same", **BECAUSE)
    assert await index.partition() == {"1": one.mpi_id, "2": one.mpi_id}
    assert (await index.stewards.task(doubt.task_id or "")).status is TaskStatus.DECIDED


async def test_an_update_in_doubt_decided_not_same_leaves(index: Index) -> None:
    one = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    doubt = await index.add({**OTTO, "first_name": MARGA["first_name"], "sex": "F"}, "2")
    await index.stewards.decide(doubt.task_id or "", "not-same", **BECAUSE)
    assert await index.owner("2") != one.mpi_id
    assert await kinds(index, "2") == [AssertionKind.NOT_SAME]
