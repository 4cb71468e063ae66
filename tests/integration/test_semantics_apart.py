"""What keeps persons of many records apart, and which losses that outlives."""

from __future__ import annotations

import pytest

from mpi.domain.identity import AssertionKind, EventKind, NewTask, TaskKind
from mpi.errors import Conflict
from tests.support.index import MARGA, MARGA_IN_DOUBT, OTTO, Index, key
from tests.support.stewards import BECAUSE, doubtful, kinds, two_persons

MANY = 101


async def registered(index: Index, fields: dict[str, str], first: int, count: int = MANY) -> str:
    """The person of so many equal registrations."""
    owners = {(await index.add(fields, str(first + n))).mpi_id for n in range(count)}
    (owner,) = owners
    return owner or ""


async def test_not_same_is_said_of_every_candidate_however_many_records_they_have(
    index: Index,
) -> None:
    one, other = await registered(index, MARGA, 100, 60), await registered(index, OTTO, 300, 60)
    third = (await index.add({**MARGA, "ssn": "301-17-2246"}, "1")).mpi_id or ""
    asked = NewTask(TaskKind.MERGE, key("1"), (one, other), None, "looks_alike")
    (task,) = await index.stewards.ask([asked], **BECAUSE)
    await index.stewards.decide(task, "not-same", **BECAUSE)
    for candidate, carrier in ((one, "100"), (other, "300")):
        await index.mpi.delete_record(key(carrier), actor="ada")
        with pytest.raises(Conflict):
            await index.stewards.merge(candidate, third, **BECAUSE)


async def test_what_is_undone_stays_apart_however_many_records_there_are(index: Index) -> None:
    await registered(index, MARGA, 100)
    linked = await index.add(MARGA, "1")
    await index.stewards.undo(linked.event_id or "", **BECAUSE)
    for gone in ("100", "150"):
        await index.mpi.delete_record(key(gone), actor="ada")
    await index.add({**MARGA, "phone": "302-555-0199"}, "1")
    assert await index.owner("1") != await index.owner("101")


async def test_an_undone_merge_of_large_persons_outlives_the_loss_of_any_record(
    index: Index,
) -> None:
    one, other = await registered(index, MARGA, 100), await registered(index, OTTO, 300)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    undone = await index.stewards.undo(merged.event_id or "", **BECAUSE)
    for number in (*range(100, 100 + MANY), *range(300, 300 + MANY)):
        others = {a.left for a in await index.store.assertions([key(str(number))])}
        others |= {a.right for a in await index.store.assertions([key(str(number))])}
        assert len(others) > 2  # itself, and more than one of the other side
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    assert await kinds(index, "100") == []


async def test_one_side_without_records_keeps_nobody_apart(index: Index) -> None:
    one, _, task = await doubtful(index)
    await index.mpi.delete_record(key("1"), actor="ada")
    assert (await index.stewards.decide(task, "not-same", **BECAUSE)).event_id
    assert await kinds(index, "2") == []
    assert one not in (await index.partition()).values()


async def test_a_number_that_is_replaced_stays_apart_from_whom_it_was_kept_apart(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA_IN_DOUBT, "2")
    await index.add(OTTO, "3")
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    await index.stewards.replace_number(key("2"), "3", **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.assert_pair("same", key("1"), key("3"), **BECAUSE)


async def test_a_replaced_number_within_one_person_hands_on_what_kept_it_apart_once(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    await index.add(OTTO, "3")
    for number in ("1", "2"):
        await index.stewards.assert_pair("not-same", key("3"), key(number), **BECAUSE)
    await index.add(MARGA, "4")
    await index.stewards.replace_number(key("2"), "1", **BECAUSE)
    await index.stewards.replace_number(key("1"), "4", **BECAUSE)
    assert await kinds(index, "3") == [AssertionKind.NOT_SAME] * 3
    with pytest.raises(Conflict):
        await index.stewards.assert_pair("same", key("3"), key("4"), **BECAUSE)


async def test_a_merge_by_a_replaced_number_is_undone_with_what_it_handed_on(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA_IN_DOUBT, "2")
    await index.add(MARGA_IN_DOUBT, "4")
    await index.add(OTTO, "3")
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    await index.stewards.replace_number(key("2"), "3", **BECAUSE)
    (merge,) = [e for e in await index.mpi.events(0, 1000) if e.kind is EventKind.MERGED]
    await index.stewards.undo(merge.event_id, **BECAUSE)
    assert await kinds(index, "1") == [AssertionKind.NOT_SAME]


async def test_a_number_is_replaced_against_what_was_said_where_that_is_overridden(
    index: Index,
) -> None:
    one, other = await two_persons(index)
    assert (await index.add(MARGA, "3")).mpi_id == one
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.replace_number(key("2"), "3", **BECAUSE)
    done = await index.stewards.replace_number(key("2"), "3", override=True, **BECAUSE)
    assert (done.mpi_id, other in done.retired) == (one, True)
    assert await index.partition() == {"1": one, "3": one}
