"""What human decisions mean: merge, move, assert, undo, and the queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypedDict

import pytest

from mpi.domain.identity import NEW_PERSON, AssertionKind, TaskStatus
from mpi.errors import Conflict, Gone, InvalidInput, NotFound, PreconditionFailed
from tests.support.index import (
    MARGA,
    MARGA_BY_BIRTH,
    MARGA_BY_NUMBER,
    MARGA_IN_DOUBT,
    OTTO,
    Index,
    indexing,
    key,
)


class Because(TypedDict):
    """Who decides, and why."""

    reason: str
    actor: str


BECAUSE: Because = {"reason": "seen the passport", "actor": "eve"}


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with indexing(tmp_path) as made:
        yield made


async def two_persons(index: Index) -> tuple[str, str]:
    """Marga under 1, Otto under 2."""
    one, other = await index.add(MARGA, "1"), await index.add(OTTO, "2")
    return one.mpi_id or "", other.mpi_id or ""


async def doubtful(index: Index) -> tuple[str, str, str]:
    """A record in doubt under 2: the candidate, its own person, the task."""
    one, other = await index.add(MARGA, "1"), await index.add(MARGA_IN_DOUBT, "2")
    return one.mpi_id or "", other.mpi_id or "", other.task_id or ""


async def overlaid(index: Index, company: bool = False) -> str:
    """Record 1, overwritten with another patient: the task."""
    await index.add(MARGA, "1")
    if company:
        await index.add(MARGA, "2")
    return (await index.add(OTTO, "1")).task_id or ""


async def kinds(index: Index, source_id: str) -> list[AssertionKind]:
    """What is asserted of a record."""
    return [a.kind for a in await index.store.assertions([key(source_id)])]


async def test_a_merge_makes_the_other_id_an_alias(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(other, one, **BECAUSE)
    assert merged.retired == (one,)
    assert await index.partition() == {"1": other, "2": other}
    assert (await index.mpi.person(one)).mpi_id == other


async def test_a_person_is_not_merged_with_itself_or_its_alias(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.merge(one, other, **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.merge(one, other, **BECAUSE)


async def test_a_merge_needs_persons_that_live(index: Index) -> None:
    one, other = await two_persons(index)
    with pytest.raises(NotFound):
        await index.stewards.merge(one, "MPI-000000000", **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="ada")
    with pytest.raises(Gone):
        await index.stewards.merge(one, other, **BECAUSE)


async def test_a_merge_against_an_assertion_names_it_and_changes_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.merge(one, other, **BECAUSE)
    assert refused.value.extra["assertions"] == [[["lab", "1"], ["lab", "2"]]]
    assert await index.partition() == {"1": one, "2": other}


async def test_an_override_lifts_the_assertion(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    await index.stewards.merge(one, other, override=True, **BECAUSE)
    assert await kinds(index, "1") == []
    assert set((await index.partition()).values()) == {one}


async def test_not_same_holds_through_a_chain_of_merges(index: Index) -> None:
    one, other = await two_persons(index)
    third = await index.add({"last_name": "Okonkwo", "first_name": "Ifeoma"}, "3")
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    await index.stewards.merge(third.mpi_id or "", one, **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.merge(third.mpi_id or "", other, **BECAUSE)


async def test_same_and_not_same_of_one_pair_contradict(index: Index) -> None:
    await two_persons(index)
    await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.assert_pair("not-same", key("2"), key("1"), **BECAUSE)
    assert "records" in refused.value.extra
    await index.stewards.assert_pair("not-same", key("2"), key("1"), override=True, **BECAUSE)
    assert await kinds(index, "1") == [AssertionKind.NOT_SAME]
    assert await index.owner("1") != await index.owner("2")


async def test_same_merges_the_persons_and_the_older_id_survives(index: Index) -> None:
    one, _ = await two_persons(index)
    await index.stewards.assert_pair("same", key("2"), key("1"), **BECAUSE)
    assert await index.partition() == {"1": one, "2": one}


async def test_same_within_one_person_is_only_noted(index: Index) -> None:
    one = (await index.add(MARGA, "1")).mpi_id
    await index.add(MARGA, "2")
    await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    assert await kinds(index, "1") == [AssertionKind.SAME]
    assert await index.partition() == {"1": one, "2": one}


async def test_an_assertion_needs_two_known_records(index: Index) -> None:
    await two_persons(index)
    with pytest.raises(Conflict):
        await index.stewards.assert_pair("same", key("1"), key("1"), **BECAUSE)
    with pytest.raises(NotFound):
        await index.stewards.assert_pair("same", key("1"), key("9"), **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="ada")
    with pytest.raises(Gone):
        await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)


async def test_not_same_takes_the_record_out_and_blocks_the_automatic_link(index: Index) -> None:
    one = (await index.add(MARGA, "1")).mpi_id
    await index.add(MARGA, "2")
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    assert await index.owner("2") != one
    await index.mpi.delete_record(key("2"), actor="ada")
    revived = await index.add({**MARGA, "phone": "302-555-0199"}, "2")
    assert revived.mpi_id != one
    assert "not_same_assertion" in revived.candidates[0].vetoes


async def test_same_links_what_the_model_would_not(index: Index) -> None:
    one, _ = await two_persons(index)
    await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="ada")
    revived = await index.add({**OTTO, "address": MARGA["address"], "zip": MARGA["zip"],
                               "dob": MARGA["dob"]}, "2")  # fmt: skip
    assert revived.mpi_id == one


async def test_a_record_moves_to_another_person(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.move(key("2"), one, **BECAUSE)
    assert await index.partition() == {"1": one, "2": one}
    assert (await index.mpi.person(other)).mpi_id == one


async def test_a_record_moves_into_a_person_of_its_own(index: Index) -> None:
    one = (await index.add(MARGA, "1")).mpi_id
    await index.add(MARGA, "2")
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    assert await index.partition() == {"1": one, "2": moved.mpi_id}


async def test_a_move_that_moves_nothing_is_refused(index: Index) -> None:
    one, _ = await two_persons(index)
    with pytest.raises(Conflict):
        await index.stewards.move(key("1"), one, **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.move(key("1"), NEW_PERSON, **BECAUSE)
    with pytest.raises(NotFound):
        await index.stewards.move(key("9"), one, **BECAUSE)


async def test_a_move_against_an_assertion_is_refused(index: Index) -> None:
    one, _ = await two_persons(index)
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.move(key("2"), one, **BECAUSE)
    await index.stewards.move(key("2"), one, override=True, **BECAUSE)
    assert await index.owner("2") == one


async def test_undoing_a_merge_restores_the_partition_and_keeps_them_apart(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    assert await kinds(index, "2") == [AssertionKind.NOT_SAME]


async def test_undoing_a_link_gives_the_record_a_person_and_keeps_it_apart(index: Index) -> None:
    one = (await index.add(MARGA, "1")).mpi_id
    linked = await index.add(MARGA, "2")
    await index.stewards.undo(linked.event_id or "", **BECAUSE)
    assert await index.owner("1") == one
    assert await index.owner("2") != one
    assert await kinds(index, "2") == [AssertionKind.NOT_SAME]


async def test_undoing_an_automatic_merge_restores_both_persons(index: Index) -> None:
    one, other = await index.add(MARGA_BY_NUMBER, "1"), await index.add(MARGA_BY_BIRTH, "2")
    both = await index.add(MARGA, "3")
    await index.stewards.undo(both.event_id or "", **BECAUSE)
    after = await index.partition()
    assert (after["1"], after["2"]) == (one.mpi_id, other.mpi_id)
    assert after["3"] not in (one.mpi_id, other.mpi_id)


async def test_undoing_a_move_restores_the_partition(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    before = await index.partition()
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    await index.stewards.undo(moved.event_id or "", **BECAUSE)
    assert await index.partition() == before
    assert await kinds(index, "2") == []


async def test_undoing_an_assertion_lifts_it(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    before = await index.partition()
    stated = await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    await index.stewards.undo(stated.event_id or "", **BECAUSE)
    assert await index.partition() == before
    assert await kinds(index, "1") == []


async def test_undoing_an_undo_lifts_what_it_asserted(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    undone = await index.stewards.undo(merged.event_id or "", **BECAUSE)
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": one}
    assert await kinds(index, "2") == []
    assert (await index.mpi.person(other)).mpi_id == one


async def test_a_record_that_came_later_stays_after_an_undo(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.add(MARGA, "3")
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other, "3": one}


async def test_a_later_event_on_the_same_records_blocks_an_undo(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert refused.value.extra["events"] == [moved.event_id]


async def test_what_was_undone_blocks_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    await index.stewards.undo(moved.event_id or "", **BECAUSE)
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}


async def test_a_preview_shows_the_moves_and_changes_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    shown = await index.stewards.undo(merged.event_id or "", preview=True, **BECAUSE)
    assert shown.detail["moves"] == [{"record": ["lab", "2"], "from": one, "to": other}]
    assert (shown.preview, shown.event_id) == (True, None)
    assert await index.owner("2") == one


async def test_what_cannot_be_undone_is_refused(index: Index) -> None:
    one, other = await two_persons(index)
    created = (await index.mpi.history(one))[0]
    merged = await index.stewards.merge(one, other, **BECAUSE)
    with pytest.raises(NotFound):
        await index.stewards.undo("unknown", **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.undo(created.event_id, **BECAUSE)
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert refused.value.extra["undone_by"]


async def test_a_stale_screen_changes_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    with pytest.raises(PreconditionFailed):
        await index.stewards.merge(one, other, if_match=99, **BECAUSE)
    with pytest.raises(PreconditionFailed):
        await index.stewards.move(key("2"), one, if_match=99, **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    version = (await index.mpi.person(one)).version
    assert (await index.stewards.merge(one, other, if_match=version, **BECAUSE)).event_id


async def test_a_stale_task_is_neither_claimed_nor_decided(index: Index) -> None:
    *_, task = await doubtful(index)
    with pytest.raises(PreconditionFailed):
        await index.stewards.claim(task, actor="eve", if_match=99)
    with pytest.raises(PreconditionFailed):
        await index.stewards.decide(task, "same", if_match=99, **BECAUSE)
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN


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


async def test_an_accepted_overlay_becomes_the_current_version(index: Index) -> None:
    task = await overlaid(index)
    before = await index.owner("1")
    await index.stewards.decide(task, "accept", **BECAUSE)
    now = await index.mpi.get_record(key("1"))
    assert (now.patient_data.dob, now.pending, now.mpi_id) == (OTTO["dob"], False, before)
    assert (await index.ask(OTTO)).mpi_id == before


async def test_a_rejected_overlay_is_history(index: Index) -> None:
    task = await overlaid(index)
    await index.stewards.decide(task, "reject", **BECAUSE)
    now = await index.mpi.get_record(key("1"))
    assert (now.patient_data.dob, now.pending) == (MARGA["dob"], False)
    assert [v.status for v in await index.store.versions(key("1"))] == ["active", "history"]


@pytest.mark.parametrize("company", [True, False])
async def test_an_overlay_may_be_another_person(index: Index, company: bool) -> None:
    task = await overlaid(index, company)
    before = await index.owner("1") or ""
    await index.stewards.decide(task, "new", **BECAUSE)
    now = await index.mpi.get_record(key("1"))
    assert now.patient_data.dob == OTTO["dob"]
    assert now.mpi_id != before
    if company:
        assert await index.owner("2") == before
    else:
        with pytest.raises(Gone):
            await index.mpi.person(before)


async def test_an_overlay_has_outcomes_of_its_own(index: Index) -> None:
    task = await overlaid(index)
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "same", **BECAUSE)


async def test_undoing_a_merge_restores_the_assertion_that_it_overrode(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    merged = await index.stewards.merge(one, other, override=True, **BECAUSE)
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    assert await kinds(index, "1") == [AssertionKind.NOT_SAME]


async def test_undoing_the_undo_of_an_assertion_asserts_it_again(index: Index) -> None:
    one, _ = await two_persons(index)
    stated = await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    undone = await index.stewards.undo(stated.event_id or "", **BECAUSE)
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    assert await kinds(index, "1") == [AssertionKind.SAME]
    assert await index.partition() == {"1": one, "2": one}


async def test_a_redone_decision_blocks_an_undo_again(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    undone = await index.stewards.undo(moved.event_id or "", **BECAUSE)
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert refused.value.extra["events"] == [moved.event_id]


async def test_cascade_is_refused(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    with pytest.raises(InvalidInput):
        await index.stewards.undo(merged.event_id or "", cascade=True, **BECAUSE)
