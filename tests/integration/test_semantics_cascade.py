"""What taking back means when later decisions stand in the way."""

from __future__ import annotations

import pytest

from mpi.domain.identity import NEW_PERSON, AssertionKind, TaskStatus
from mpi.errors import Conflict
from tests.support.index import (
    IFEOMA,
    MARGA,
    OTTO,
    Index,
    key,
)
from tests.support.stewards import BECAUSE, kinds, two_persons


async def test_a_cascade_undoes_the_later_decisions_first(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    stated = await index.stewards.assert_pair("same", key("2"), key("1"), **BECAUSE)
    undone = await index.stewards.undo(merged.event_id or "", cascade=True, **BECAUSE)
    assert undone.detail["undone"] == [stated.event_id, moved.event_id, merged.event_id]
    assert await index.partition() == {"1": one, "2": other}
    assert await kinds(index, "2") == [AssertionKind.NOT_SAME]
    again = await index.stewards.undo(undone.event_id or "", **BECAUSE)
    assert again.event_id
    assert await index.partition() == {"1": one, "2": one}


async def test_what_a_cascade_keeps_apart_on_its_way_is_not_in_its_way(index: Index) -> None:
    """The merge to be undone first had brought together again what the move had parted."""
    one, other = await two_persons(index)
    await index.stewards.merge(one, other, **BECAUSE)
    third = await index.add({"first_name": "Ifeoma", "last_name": "Okonkwo"}, "3")
    before = await index.partition()
    moved = await index.stewards.move(key("1"), third.mpi_id or "", **BECAUSE)
    merged = await index.stewards.merge(one, third.mpi_id or "", **BECAUSE)
    undone = await index.stewards.undo(moved.event_id or "", cascade=True, **BECAUSE)
    assert undone.detail["undone"] == [merged.event_id, moved.event_id]
    assert await index.partition() == before
    assert await kinds(index, "1") == []
    assert await kinds(index, "2") == await kinds(index, "3") == [AssertionKind.NOT_SAME]


async def test_a_later_not_same_keeps_a_record_from_going_back_and_cascades(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    before = await index.partition()
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    stated = await index.stewards.assert_pair("not-same", key("2"), key("1"), **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.undo(moved.event_id or "", **BECAUSE)
    assert refused.value.extra["events"] == [stated.event_id]
    await index.stewards.undo(moved.event_id or "", cascade=True, **BECAUSE)
    assert await index.partition() == before


async def test_a_cascade_that_fails_changes_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    third = await index.add({"first_name": "Ifeoma", "last_name": "Okonkwo"}, "3")
    await index.add({"first_name": "Sigrun", "last_name": "Thorsdottir"}, "4")
    merged = await index.stewards.merge(one, other, **BECAUSE)
    stated = await index.stewards.assert_pair("not-same", key("2"), key("3"), **BECAUSE)
    await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    await index.stewards.merge(one, third.mpi_id or "", **BECAUSE)
    await index.stewards.move(key("2"), await index.owner("4") or "", **BECAUSE)
    before, events = await index.partition(), (await index.mpi.statistics())["events"]
    with pytest.raises(Conflict) as refused:
        await index.stewards.undo(merged.event_id or "", cascade=True, **BECAUSE)
    assert refused.value.extra["assertions"] == [stated.event_id]
    assert await index.partition() == before
    assert (await index.mpi.statistics())["events"] == events


async def three_in_one(index: Index) -> tuple[list[str], str]:
    """Otto took in Marga, then Ifeoma took in both; then Marga came again. All persons, and the first merge."""
    marga, otto = await two_persons(index)
    ifeoma = (await index.add(IFEOMA, "3")).mpi_id or ""
    first = await index.stewards.merge(otto, marga, **BECAUSE)
    await index.stewards.merge(ifeoma, otto, **BECAUSE)
    return [marga, otto, ifeoma], first.event_id or ""


async def test_a_cascade_asks_once_about_the_persons_that_are_left(index: Index) -> None:
    (marga, otto, ifeoma), first = await three_in_one(index)
    await index.add({**MARGA, "phone": "302-555-0199"}, "4")
    undone = await index.stewards.undo(first, cascade=True, **BECAUSE)
    assert await index.partition() == {"1": marga, "2": otto, "3": ifeoma, "4": ifeoma}
    (task,) = await index.stewards.tasks(TaskStatus.OPEN, None, 10)
    assert undone.task_ids == (task.task_id,)
    assert (task.record, task.version, task.reason) == (key("4"), 1, "fits_what_returned")
    assert task.candidates == (ifeoma, marga, otto)
    assert await kinds(index, "4") == []
    await index.stewards.decide(task.task_id, "same", mpi_id=marga, **BECAUSE)
    assert await index.owner("4") == marga


async def test_what_joined_before_a_cascade_and_plainly_stays_is_kept_apart(index: Index) -> None:
    (marga, otto, ifeoma), first = await three_in_one(index)
    await index.add(IFEOMA, "4")
    undone = await index.stewards.undo(first, cascade=True, **BECAUSE)
    assert await index.partition() == {"1": marga, "2": otto, "3": ifeoma, "4": ifeoma}
    assert undone.task_ids == ()
    assert await kinds(index, "4") == [AssertionKind.NOT_SAME] * 2


async def test_a_cascade_is_previewed_without_changing_anything(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    await index.add(OTTO, "3")
    before, events = await index.partition(), (await index.mpi.statistics())["events"]
    shown = await index.stewards.undo(merged.event_id or "", cascade=True, preview=True, **BECAUSE)
    assert (shown.preview, shown.event_id, shown.task_ids) == (True, None, ())
    assert shown.detail["undone"] == [moved.event_id, merged.event_id]
    assert [m["to"] for m in shown.detail["moves"]] == [one, other]
    assert shown.detail["tasks"][0]["record"] == ["lab", "3"]
    assert await index.partition() == before
    assert (await index.mpi.statistics())["events"] == events
