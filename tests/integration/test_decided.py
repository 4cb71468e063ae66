"""What stewards decided, read back as labels."""

from __future__ import annotations

from mpi.evaluation.own import decided
from tests.support.index import MARGA, Index, key
from tests.support.stewards import BECAUSE, doubtful, two_persons


async def test_assertions_in_force_are_labels(index: Index) -> None:
    await two_persons(index)
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    assert await decided(index.store) == {(key("1"), key("2")): False}


async def test_a_merge_labels_every_pair_it_joined(index: Index) -> None:
    one, other = await two_persons(index)
    await index.add(MARGA, "3")
    await index.stewards.merge(one, other, **BECAUSE)
    labels = await decided(index.store)
    assert labels == {(key("1"), key("2")): True, (key("2"), key("3")): True}


async def test_an_undone_merge_labels_its_pairs_the_other_way(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    assert set((await decided(index.store)).values()) == {False}


async def test_a_task_decided_is_a_label(index: Index) -> None:
    *_, task = await doubtful(index)
    await index.stewards.decide(task, "not-same", **BECAUSE)
    assert (await decided(index.store))[key("1"), key("2")] is False


async def test_what_the_model_linked_by_itself_is_no_label(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    assert await decided(index.store) == {}
