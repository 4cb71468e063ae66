"""What taking back means."""

from __future__ import annotations

import pytest

from mpi.domain.identity import (
    NEW_PERSON,
    AssertionKind,
    Event,
    EventKind,
    RecordMove,
    TaskKind,
    TaskStatus,
)
from mpi.errors import Conflict, NotFound
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
from tests.support.stewards import BECAUSE, doubtful, kinds, two_persons


async def last_event(index: Index, kind: EventKind) -> Event:
    """The newest event of a kind."""
    return [e for e in await index.mpi.events(0, 1000) if e.kind is kind][-1]


async def test_undoing_a_merge_restores_the_partition_and_keeps_them_apart(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    assert await kinds(index, "2") == [AssertionKind.NOT_SAME]


async def test_a_person_whose_records_were_deleted_is_no_alias_of_another_after_an_undo(
    index: Index,
) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.mpi.delete_record(key("1"), actor="test")
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    left = await index.store.person(one)
    assert left is not None
    assert (left.active, left.merged_into) == (False, None)
    assert await index.partition() == {"2": other}


async def test_undoing_a_link_gives_the_record_a_person_and_keeps_it_apart(index: Index) -> None:
    one = (await index.add(MARGA, "1")).mpi_id
    linked = await index.add(MARGA, "2")
    await index.stewards.undo(linked.event_id or "", **BECAUSE)
    assert await index.owner("1") == one
    assert await index.owner("2") != one
    assert await kinds(index, "2") == [AssertionKind.NOT_SAME]


async def test_undoing_an_automatic_merge_restores_both_persons_and_asks_about_the_record(
    index: Index,
) -> None:
    one, other = await index.add(MARGA_BY_NUMBER, "1"), await index.add(MARGA_BY_BIRTH, "2")
    await index.add(MARGA, "3")
    merged = await last_event(index, EventKind.MERGED)
    undone = await index.stewards.undo(merged.event_id, **BECAUSE)
    assert await index.partition() == {"1": one.mpi_id, "2": other.mpi_id, "3": one.mpi_id}
    task = await index.stewards.task(undone.task_ids[0])
    assert (task.kind, task.record, task.reason) == (TaskKind.UNDO, key("3"), "fits_both")
    assert task.candidates == (one.mpi_id, other.mpi_id)


async def test_a_merge_by_an_update_is_an_event_of_its_own(index: Index) -> None:
    older = await index.add(MARGA, "1")
    younger = await index.add({"last_name": "Vandersloot", "phone": "302-555-0123"}, "2")
    joined = await index.add(MARGA, "2")
    await index.stewards.undo(joined.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": older.mpi_id, "2": younger.mpi_id}
    assert (await index.mpi.get_record(key("2"))).patient_data.dob == MARGA["dob"]


async def test_the_link_beside_an_automatic_merge_is_undone_by_itself(index: Index) -> None:
    one = await index.add(MARGA_BY_NUMBER, "1")
    await index.add(MARGA_BY_BIRTH, "2")
    both = await index.add(MARGA, "3")
    await index.stewards.undo(both.event_id or "", **BECAUSE)
    after = await index.partition()
    assert (after["1"], after["2"]) == (one.mpi_id, one.mpi_id)
    assert after["3"] != one.mpi_id


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


async def test_an_undo_reaches_past_later_automatic_merges(index: Index) -> None:
    eldest, one = await index.add(MARGA_BY_NUMBER, "1"), await index.add(MARGA_BY_BIRTH, "2")
    other = await index.add({"last_name": "Vandersloot", "email": "m@example.org"}, "3")
    merged = await index.stewards.merge(one.mpi_id or "", other.mpi_id or "", **BECAUSE)
    await index.add(MARGA, "4")
    assert set((await index.partition()).values()) == {eldest.mpi_id}
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    held = await index.partition()
    assert held == {"1": eldest.mpi_id, "2": eldest.mpi_id, "3": other.mpi_id, "4": eldest.mpi_id}
    assert (await index.mpi.person(one.mpi_id or "")).mpi_id == eldest.mpi_id


async def test_what_the_source_deleted_meanwhile_stays_deleted(index: Index) -> None:
    one, other = await two_persons(index)
    await index.add(OTTO, "3")
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.mpi.delete_record(key("3"), actor="ada")
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}


async def test_when_all_of_it_is_gone_there_is_nothing_to_undo(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="ada")
    with pytest.raises(Conflict, match="nothing is left"):
        await index.stewards.undo(merged.event_id or "", **BECAUSE)


async def test_a_later_record_that_fits_only_what_returned_is_a_task(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.add(OTTO, "3")
    undone = await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.owner("3") == one
    task = await index.stewards.task(undone.task_ids[0])
    assert (task.record, task.reason) == (key("3"), "fits_what_returned")


async def test_a_later_record_that_fits_neither_side_is_a_task(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    stranger = await index.add({"first_name": "Ifeoma", "last_name": "Okonkwo"}, "3")
    await index.stewards.merge(one, stranger.mpi_id or "", **BECAUSE)
    undone = await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.owner("3") == one
    assert (await index.stewards.task(undone.task_ids[0])).reason == "fits_neither"


async def test_a_later_decision_of_same_blocks_an_undo(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    stated = await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert refused.value.extra["events"] == [stated.event_id]


@pytest.mark.parametrize("outcome", ["same", "not-same", "new"])
async def test_undoing_a_decided_task_asks_again(index: Index, outcome: str) -> None:
    *_, task = await doubtful(index)
    before = await index.partition()
    decided = await index.stewards.decide(task, outcome, **BECAUSE)
    after = await index.partition()
    undone = await index.stewards.undo(decided.event_id or "", **BECAUSE)
    assert await index.partition() == before
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    assert await index.partition() == after
    assert (await index.stewards.task(task)).outcome == outcome


async def test_an_older_id_survives_the_undo_of_an_undo(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    for _ in range(3):
        merged = await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}


async def test_the_golden_record_is_a_function_of_the_current_records(index: Index) -> None:
    one, other = await two_persons(index)
    before = [(await index.mpi.person(p)).golden_record for p in (one, other)]
    merged = await index.stewards.merge(one, other, **BECAUSE)
    assert (await index.mpi.person(one)).golden_record not in before
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert [(await index.mpi.person(p)).golden_record for p in (one, other)] == before


async def test_a_record_that_is_alone_by_now_has_nobody_to_be_parted_from(index: Index) -> None:
    one = await index.add(MARGA, "1")
    linked = await index.add(MARGA, "2")
    await index.mpi.delete_record(key("1"), actor="ada")
    with pytest.raises(Conflict, match="nothing is left"):
        await index.stewards.undo(linked.event_id or "", **BECAUSE)
    assert await index.partition() == {"2": one.mpi_id}


async def test_a_record_whose_place_was_decided_anew_stays_there(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="ada")
    revived = await index.add({**MARGA_IN_DOUBT, "first_name": "Ifeoma"}, "2")
    assert revived.mpi_id not in (one, other)
    with pytest.raises(Conflict, match="nothing is left"):
        await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.owner("2") == revived.mpi_id


async def test_undoing_a_merge_contradicts_no_earlier_same(index: Index) -> None:
    one, _ = await two_persons(index)
    await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    # An index of earlier code may hold a move that left this standing.
    earlier = change(EventKind.MOVED, moves=(RecordMove(key("2"), one, NEW_PERSON),))
    moved = await index.store.commit(earlier)
    merged = await index.stewards.merge(one, moved.mpi_id or "", **BECAUSE)
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": moved.mpi_id}
    assert await kinds(index, "2") == [AssertionKind.SAME]


async def test_a_question_that_is_asked_again_already_is_not_asked_twice(index: Index) -> None:
    *_, task = await doubtful(index)
    decided = await index.stewards.decide(task, "new", **BECAUSE)
    again = await index.add({**MARGA_IN_DOUBT, "phone": "302-555-0199"}, "2")
    assert again.task_id not in (None, task)
    with pytest.raises(Conflict, match="nothing is left"):
        await index.stewards.undo(decided.event_id or "", **BECAUSE)
    assert (await index.stewards.task(task)).status is TaskStatus.DECIDED


async def test_a_record_goes_home_to_the_survivor_of_where_it_was(index: Index) -> None:
    one, other = await two_persons(index)
    await index.add(OTTO, "3")
    moved = await index.stewards.move(key("3"), NEW_PERSON, **BECAUSE)
    await index.stewards.merge(one, other, **BECAUSE)
    await index.stewards.undo(moved.event_id or "", **BECAUSE)
    assert await index.partition() == {"1": one, "2": one, "3": one}
