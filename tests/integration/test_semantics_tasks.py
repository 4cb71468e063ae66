"""What the queue of questions means."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from mpi.domain.identity import AssertionKind, EventKind, NewTask, TaskKind, TaskStatus
from mpi.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from mpi.service.answers import ChangeAnswer
from mpi.service.stewardship import TaskDecision
from tests.contract.changes import change
from tests.support.index import (
    GONE_ASTRAY,
    MARGA,
    MARGA_BY_BIRTH,
    MARGA_BY_NUMBER,
    MARGA_IN_DOUBT,
    OTTO,
    Index,
    key,
    submission,
)
from tests.support.people import made_up
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


async def test_replaying_an_overlay_finds_its_task_behind_a_hundred_others(index: Index) -> None:
    home = await index.add(MARGA, "1")
    await index.add(MARGA_BY_NUMBER, "2")
    chance = Random(1)
    await index.batch(*(submission(made_up(chance), f"other {n}") for n in range(101)))
    others = [
        NewTask(TaskKind.REVIEW, key(f"other {n}"), (home.mpi_id or "",), None, "alike")
        for n in range(101)
    ]
    await index.store.commit(change(tasks=tuple(others)))
    asked = await index.add(OTTO, "2")
    assert (asked.status, asked.provisional) == ("review", True)
    again = await index.add(OTTO, "2")
    assert (again.status, again.task_id) == ("review", asked.task_id)


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
    with pytest.raises(Conflict, match="somebody else"):
        await index.stewards.decide(task, "same", actor="bob", reason="seen")
    assert (await index.stewards.claim(task, actor="eve")).assignee == "eve"
    await index.stewards.decide(task, "same", actor="eve", reason="seen")


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


async def test_a_question_that_was_answered_not_same_is_not_asked_again(index: Index) -> None:
    first, second, task = await doubtful(index)
    await index.stewards.decide(task, "not-same", **BECAUSE)
    updated = await index.add({**MARGA_IN_DOUBT, "middle_name": "Q"}, "2")
    assert (updated.mpi_id, updated.task_id) == (second, None)
    assert await index.stewards.tasks(TaskStatus.OPEN, None, 10) == ()
    assert await index.partition() == {"1": first, "2": second}


async def test_a_question_about_others_takes_the_place_of_an_older_one(index: Index) -> None:
    marcus = {
        "first_name": "Marcus",
        "last_name": "Whitfield",
        "zip": "97301",
        "address": "12 Elm Street",
    }
    moved = {"last_name": "Whitcombe", "address": "450 Juniper Drive"}
    await index.add({**marcus, "dob": "1971-05-09"}, "1")
    await index.add({**marcus, **moved, "dob": "1971-08-23", "zip": "97701"}, "2")
    earlier = await index.add({**marcus, "dob": "1971-05-19", "address": ""}, "3")
    later = await index.add({**marcus, **moved, "dob": "1971-08-19", "zip": ""}, "3")
    assert await index.owner("2") in (await index.stewards.task(later.task_id or "")).candidates
    with pytest.raises(Conflict, match="decided already"):
        await index.stewards.decide(earlier.task_id or "", "same", **BECAUSE)


async def test_an_unknown_outcome_or_task_is_refused(index: Index) -> None:
    *_, task = await doubtful(index)
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "maybe", **BECAUSE)
    with pytest.raises(NotFound):
        await index.stewards.decide("unknown", "same", **BECAUSE)


async def test_among_several_candidates_the_steward_names_one(index: Index) -> None:
    one = await index.add(MARGA, "1")
    other = await index.add(MARGA_IN_DOUBT, "2")
    third = await index.add({**MARGA, "ssn": "301-17-2246", "phone": "", "email": ""}, "3")
    task = third.task_id or ""
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "same", **BECAUSE)
    await index.stewards.decide(task, "same", mpi_id=other.mpi_id, **BECAUSE)
    assert await index.owner("3") == other.mpi_id != one.mpi_id


async def test_an_update_in_doubt_may_leave_for_a_person_of_its_own(index: Index) -> None:
    one = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    doubt = await index.add(GONE_ASTRAY, "2")
    moved = await index.stewards.decide(doubt.task_id or "", "new", **BECAUSE)
    assert await index.partition() == {"1": one.mpi_id, "2": moved.mpi_id}
    assert moved.mpi_id != one.mpi_id


async def test_an_update_in_doubt_may_stay(index: Index) -> None:
    one = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    doubt = await index.add(GONE_ASTRAY, "2")
    await index.stewards.decide(doubt.task_id or "", "same", **BECAUSE)
    assert await index.partition() == {"1": one.mpi_id, "2": one.mpi_id}
    assert (await index.stewards.task(doubt.task_id or "")).status is TaskStatus.DECIDED


async def test_an_update_in_doubt_decided_not_same_leaves(index: Index) -> None:
    one = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    doubt = await index.add(GONE_ASTRAY, "2")
    await index.stewards.decide(doubt.task_id or "", "not-same", **BECAUSE)
    assert await index.owner("2") != one.mpi_id
    assert await kinds(index, "2") == [AssertionKind.NOT_SAME]


async def three_alike(index: Index) -> tuple[str, str, str, str]:
    """Three persons who may be one, and the task about the third."""
    one, other = await index.add(MARGA, "1"), await index.add(MARGA_IN_DOUBT, "2")
    third = await index.add({**MARGA, "ssn": "301-17-2246", "phone": "", "email": ""}, "3")
    return one.mpi_id or "", other.mpi_id or "", third.mpi_id or "", third.task_id or ""


async def test_not_same_without_a_name_is_said_of_every_candidate(index: Index) -> None:
    one, other, third, task = await three_alike(index)
    await index.stewards.decide(task, "not-same", **BECAUSE)
    for candidate in (one, other):
        with pytest.raises(Conflict):
            await index.stewards.merge(candidate, third, **BECAUSE)


async def test_not_same_with_a_name_is_said_of_that_candidate_alone(index: Index) -> None:
    one, other, third, task = await three_alike(index)
    await index.stewards.decide(task, "not-same", mpi_id=other, **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.merge(other, third, **BECAUSE)
    assert (await index.stewards.merge(one, third, **BECAUSE)).event_id


async def test_not_same_holds_against_every_record_of_a_candidate(index: Index) -> None:
    one, _, task = await doubtful(index)
    await index.add({**MARGA, "phone": "302-555-0199"}, "4")
    await index.stewards.decide(task, "not-same", **BECAUSE)
    await index.mpi.delete_record(key("1"), actor="ada")
    assert await index.owner("4") == one
    again = await index.add(MARGA, "2")
    assert again.mpi_id != one


async def test_a_task_is_decided_about_its_candidates_only(index: Index) -> None:
    *_, task = await doubtful(index)
    stranger = await index.add(OTTO, "3")
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "same", mpi_id=stranger.mpi_id, **BECAUSE)


async def test_a_candidate_that_was_merged_since_stands_for_its_survivor(index: Index) -> None:
    one, other, third, task = await three_alike(index)
    await index.stewards.merge(one, other, **BECAUSE)
    await index.stewards.decide(task, "same", **BECAUSE)
    assert await index.owner("3") == one
    assert third not in (await index.partition()).values()


async def test_new_leaves_a_lone_record_alone_and_says_nothing_of_others(index: Index) -> None:
    one, other, task = await doubtful(index)
    decided = await index.stewards.decide(task, "new", **BECAUSE)
    assert decided.event_id
    assert await index.partition() == {"1": one, "2": other}
    assert await kinds(index, "2") == []


async def after_an_undo(index: Index) -> tuple[str, str, str]:
    """Records 1 and 2 parted again, and the task about record 3 that fits both."""
    one, other = await index.add(MARGA_BY_NUMBER, "1"), await index.add(MARGA_BY_BIRTH, "2")
    merged = await index.stewards.merge(one.mpi_id or "", other.mpi_id or "", **BECAUSE)
    await index.add(MARGA, "3")
    undone = await index.stewards.undo(merged.event_id or "", **BECAUSE)
    return one.mpi_id or "", other.mpi_id or "", undone.task_ids[0]


@pytest.mark.parametrize("chosen", [0, 1])
async def test_after_an_undo_a_steward_says_where_a_record_belongs(
    index: Index, chosen: int
) -> None:
    *persons, task = await after_an_undo(index)
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "same", **BECAUSE)
    await index.stewards.decide(task, "same", mpi_id=persons[chosen], **BECAUSE)
    assert await index.partition() == {"1": persons[0], "2": persons[1], "3": persons[chosen]}
    assert (await index.stewards.task(task)).status is TaskStatus.DECIDED


async def test_after_an_undo_a_record_may_belong_to_neither(index: Index) -> None:
    one, other, task = await after_an_undo(index)
    decided = await index.stewards.decide(task, "not-same", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other, "3": decided.mpi_id}
    assert len(await kinds(index, "3")) == 2


async def test_a_deferred_task_leaves_the_queue_until_its_time(index: Index) -> None:
    *_, task = await doubtful(index)
    until = index.clock.now + timedelta(seconds=30)
    deferred = await index.stewards.defer(task, until, **BECAUSE)
    assert (deferred.status, deferred.deferred_until) == (TaskStatus.OPEN, until)
    assert await index.stewards.tasks(TaskStatus.OPEN, None, 10) == ()
    assert len(await index.stewards.tasks(None, None, 10)) == 1
    index.clock.now = until
    assert len(await index.stewards.tasks(TaskStatus.OPEN, None, 10)) == 1
    event = (await index.mpi.events(0, 100))[-1]
    assert (event.kind, event.actor, event.reason) == (
        EventKind.TASK_DEFERRED,
        "eve",
        "seen the passport",
    )
    assert event.detail["task_id"] == task


@pytest.mark.parametrize("days", [0, -1, 4000])
async def test_a_task_is_deferred_into_the_next_years_only(index: Index, days: int) -> None:
    *_, task = await doubtful(index)
    with pytest.raises(InvalidInput):
        await index.stewards.defer(task, index.clock.now + timedelta(days=days), **BECAUSE)


async def test_a_claimed_task_is_deferred_by_its_holder_only(index: Index) -> None:
    *_, task = await doubtful(index)
    until = index.clock.now + timedelta(days=1)
    await index.stewards.claim(task, actor="bob")
    with pytest.raises(Conflict):
        await index.stewards.defer(task, until, **BECAUSE)
    deferred = await index.stewards.defer(task, until, reason="later", actor="bob")
    assert (deferred.status, deferred.assignee) == (TaskStatus.CLAIMED, "bob")


async def test_a_task_is_handed_over_and_given_back(index: Index) -> None:
    *_, task = await doubtful(index)
    await index.stewards.claim(task, actor="bob")
    handed = await index.stewards.reassign(task, "ann", **BECAUSE)
    assert (handed.status, handed.assignee) == (TaskStatus.CLAIMED, "ann")
    event = (await index.mpi.events(0, 100))[-1]
    assert event.kind is EventKind.TASK_REASSIGNED
    assert event.detail == {"task_id": task, "assignee": "ann"}
    back = await index.stewards.reassign(task, None, **BECAUSE)
    assert (back.status, back.assignee) == (TaskStatus.OPEN, None)


async def test_handing_over_ends_a_deferral(index: Index) -> None:
    *_, task = await doubtful(index)
    await index.stewards.defer(task, index.clock.now + timedelta(days=1), **BECAUSE)
    assert (await index.stewards.reassign(task, "ann", **BECAUSE)).deferred_until is None


async def test_tasks_are_decided_in_bulk_each_by_itself(index: Index) -> None:
    one, other, task = await doubtful(index)
    third = await index.add(OTTO, "4")
    doubt = await index.add({**OTTO, "ssn": "530-11-8273", "phone": ""}, "5")
    decisions = [
        TaskDecision(task, "same"),
        TaskDecision("TSK-000000000", "same"),
        TaskDecision(task, "same"),
        TaskDecision(doubt.task_id or "", "same", version=99),
        TaskDecision(doubt.task_id or "", "not-same", version=1),
    ]
    answers = await index.stewards.decide_all(decisions, **BECAUSE)
    wrong = [type(a) for a in answers[1:4]]
    assert wrong == [NotFound, Conflict, PreconditionFailed]
    assert all(isinstance(a, ChangeAnswer) and a.event_id for a in (answers[0], answers[4]))
    expected = {"1": one, "2": one, "4": third.mpi_id, "5": doubt.mpi_id}
    assert await index.partition() == expected
    assert other not in expected.values()


async def test_a_bulk_decision_is_previewed_and_changes_nothing(index: Index) -> None:
    one, other, task = await doubtful(index)
    before = (await index.partition(), await index.mpi.statistics())
    decisions = [TaskDecision(task, "same"), TaskDecision(task, "not-same")]
    shown, late = await index.stewards.decide_all(decisions, preview=True, **BECAUSE)
    assert isinstance(shown, ChangeAnswer)
    assert (shown.preview, shown.event_id) == (True, None)
    assert shown.detail["moves"] == [{"record": ["lab", "2"], "from": other, "to": one}]
    assert isinstance(late, Conflict)
    assert (await index.partition(), await index.mpi.statistics()) == before
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN


async def test_an_update_in_doubt_that_was_moved_meanwhile_goes_back_alone(index: Index) -> None:
    one = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    doubt = await index.add(GONE_ASTRAY, "2")
    third = await index.add({"first_name": "Ifeoma", "last_name": "Okonkwo"}, "3")
    await index.stewards.move(key("2"), third.mpi_id or "", **BECAUSE)
    await index.stewards.decide(doubt.task_id or "", "same", **BECAUSE)
    assert await index.partition() == {"1": one.mpi_id, "2": one.mpi_id, "3": third.mpi_id}


async def test_a_candidate_that_is_gone_is_no_candidate(index: Index) -> None:
    _, other, task = await doubtful(index)
    await index.mpi.delete_record(key("1"), actor="ada")
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "same", **BECAUSE)
    await index.stewards.decide(task, "not-same", **BECAUSE)
    assert await index.partition() == {"2": other}
    assert (await index.stewards.task(task)).status is TaskStatus.DECIDED
