"""What a move says of the record and those whom it leaves: the machine does not join them again, people may."""

from __future__ import annotations

import pytest

from mpi.domain.identity import NEW_PERSON, AssertionKind, NewTask, TaskKind
from mpi.errors import Conflict
from tests.support.index import MARGA, MARGA_IN_DOUBT, OTTO, Index, key
from tests.support.stewards import BECAUSE, kinds

ANOTHER_PHONE = {**MARGA, "phone": "302-555-0199"}


async def together(index: Index, *numbers: str) -> str:
    """The person of so many equal registrations."""
    (owner,) = {(await index.add(MARGA, number)).mpi_id for number in numbers}
    return owner or ""


async def parted(index: Index) -> tuple[str, str]:
    """Two registrations of Marga, of which a steward took the second out: their persons."""
    one = await together(index, "1", "2")
    return one, (await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)).mpi_id or ""


async def test_what_was_moved_out_is_not_joined_again_by_an_update(index: Index) -> None:
    one, other = await parted(index)
    updated = await index.add(ANOTHER_PHONE, "2")
    assert (updated.mpi_id, updated.task_id) == (other, None)
    await index.add(ANOTHER_PHONE, "1")
    assert await index.partition() == {"1": one, "2": other}


async def test_a_registration_that_fits_both_sides_of_a_move_asks(index: Index) -> None:
    one, other = await parted(index)
    third = await index.add(ANOTHER_PHONE, "3")
    assert third.status == "review"
    assert set((await index.stewards.task(third.task_id or "")).candidates) == {one, other}
    assert len(set((await index.partition()).values())) == 3


async def test_what_was_moved_out_stays_apart_when_it_is_registered_anew(index: Index) -> None:
    one, _ = await parted(index)
    for number in ("2", "1"):
        await index.mpi.delete_record(key(number), actor="ada")
        await index.add(MARGA, number)
    held = await index.partition()
    assert held["1"] != held["2"]
    assert one not in held.values()


async def test_a_record_moved_to_another_person_is_parted_from_those_it_leaves(
    index: Index,
) -> None:
    one = await together(index, "1", "2")
    other = (await index.add(OTTO, "3")).mpi_id or ""
    await index.stewards.move(key("2"), other, **BECAUSE)
    await index.mpi.delete_record(key("3"), actor="ada")
    await index.add(ANOTHER_PHONE, "2")
    assert await index.partition() == {"1": one, "2": other}


async def test_a_task_decided_new_parts_the_record_from_those_it_leaves_alone(
    index: Index,
) -> None:
    one = await together(index, "1", "2")
    other = (await index.add(OTTO, "3")).mpi_id or ""
    asked = NewTask(TaskKind.UPDATE, key("2"), (one, other), None, "no_longer_fits")
    (task,) = await index.stewards.ask([asked], **BECAUSE)
    await index.stewards.decide(task, "new", **BECAUSE)
    await index.add(ANOTHER_PHONE, "2")
    assert await index.owner("2") not in (one, other)
    assert await kinds(index, "3") == []


async def test_undoing_a_move_lifts_what_it_said(index: Index) -> None:
    one = await together(index, "1", "2")
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    undone = await index.stewards.undo(moved.event_id or "", **BECAUSE)
    assert await kinds(index, "2") == []
    assert set((await index.partition()).values()) == {one}
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    await index.add(ANOTHER_PHONE, "2")
    assert await index.owner("2") == moved.mpi_id


async def test_people_may_join_again_what_a_move_parted(index: Index) -> None:
    one, other = await parted(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    assert await kinds(index, "1") == []
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert await kinds(index, "1") == [AssertionKind.NOT_SAME]


async def test_a_move_back_and_a_statement_of_same_join_what_a_move_parted(index: Index) -> None:
    one, _ = await parted(index)
    await index.stewards.move(key("2"), one, **BECAUSE)
    assert await kinds(index, "2") == []
    await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    assert await kinds(index, "2") == [AssertionKind.SAME]
    assert set((await index.partition()).values()) == {one}


async def test_a_person_is_taken_apart_record_by_record(index: Index) -> None:
    one = await together(index, "1", "2", "3", "4")
    moved = await index.stewards.move(key("3"), NEW_PERSON, **BECAUSE)
    await index.stewards.move(key("4"), moved.mpi_id or "", **BECAUSE)
    await index.add(ANOTHER_PHONE, "3")
    await index.add(ANOTHER_PHONE, "1")
    other = moved.mpi_id
    assert await index.partition() == {"1": one, "2": one, "3": other, "4": other}
    await index.stewards.undo(moved.event_id or "", cascade=True, **BECAUSE)
    assert set((await index.partition()).values()) == {one}
    assert await kinds(index, "3") == []


async def test_what_was_stated_outright_of_a_move_binds_people_too(index: Index) -> None:
    one, other = await parted(index)
    stated = await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.merge(one, other, **BECAUSE)
    assert refused.value.extra == {"assertions": [stated.event_id]}
    await index.stewards.undo(stated.event_id or "", **BECAUSE)
    await index.add(ANOTHER_PHONE, "2")
    assert await index.partition() == {"1": one, "2": other}


async def test_a_task_decided_not_same_states_it_of_what_a_move_parted(index: Index) -> None:
    one, other = await parted(index)
    asked = NewTask(TaskKind.MERGE, key("2"), (one,), None, "looks_alike")
    (task,) = await index.stewards.ask([asked], **BECAUSE)
    await index.stewards.decide(task, "not-same", **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.merge(one, other, **BECAUSE)


async def test_a_move_away_from_whom_people_called_the_same_needs_an_override(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA_IN_DOUBT, "2")
    stated = await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    assert refused.value.extra == {"assertions": [stated.event_id]}
    moved = await index.stewards.move(key("2"), NEW_PERSON, override=True, **BECAUSE)
    await index.add({**MARGA_IN_DOUBT, "phone": "302-555-0199"}, "2")
    assert await index.owner("2") == moved.mpi_id
    await index.add(MARGA_IN_DOUBT, "2")
    await index.stewards.undo(moved.event_id or "", **BECAUSE)
    assert await kinds(index, "2") == [AssertionKind.SAME]


async def test_a_replaced_number_joins_nobody_whom_a_move_parted(index: Index) -> None:
    one, other = await parted(index)
    with pytest.raises(Conflict):
        await index.stewards.replace_number(key("2"), "1", **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    await index.stewards.replace_number(key("2"), "1", override=True, **BECAUSE)
    assert await index.partition() == {"1": one}


async def test_the_number_that_replaces_one_stays_apart_from_whom_a_move_parted(
    index: Index,
) -> None:
    one, other = await parted(index)
    await index.add({**OTTO, "phone": "302-555-0100"}, "5")
    await index.stewards.move(key("5"), other, **BECAUSE)
    await index.stewards.replace_number(key("2"), "5", **BECAUSE)
    await index.mpi.delete_record(key("5"), actor="ada")
    await index.add(MARGA, "5")
    assert await index.owner("5") != one
