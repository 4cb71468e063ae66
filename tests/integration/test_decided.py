"""What stewards decided, read back as labels."""

from __future__ import annotations

import pytest

from mpi.evaluation import calibration
from mpi.evaluation.calibration import Calibrators, calibrators
from mpi.evaluation.training_data import decided
from tests.support.index import MARGA, MODEL, Index, key
from tests.support.stewards import BECAUSE, doubtful, two_persons

BORN = {"dob": "1933-09-09", "sex": "F", "ssn": "518-33-9021"}


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


async def test_what_joined_after_a_merge_was_not_judged_with_it(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.merge(one, other, **BECAUSE)
    assert (await index.add(MARGA, "3")).mpi_id == one
    assert await decided(index.store) == {(key("1"), key("2")): True}


async def test_a_merge_is_remembered_after_its_person_was_merged_again(index: Index) -> None:
    one, other = await two_persons(index)
    first = (await index.add({"first_name": "Zora", "last_name": "Quill", **BORN}, "0")).mpi_id
    await index.stewards.merge(one, other, **BECAUSE)
    await index.stewards.merge(first or "", one, **BECAUSE)
    pairs = {("1", "2"), ("0", "1"), ("0", "2")}
    assert await decided(index.store) == {(key(a), key(b)): True for a, b in pairs}


async def test_a_merge_counts_again_when_its_undoing_is_undone(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    undone = await index.stewards.undo(merged.event_id or "", **BECAUSE)
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    assert await decided(index.store) == {(key("1"), key("2")): True}


async def test_whoever_left_the_person_is_no_label_of_its_merge(index: Index) -> None:
    one, other = await two_persons(index)
    await index.add(MARGA, "3")
    await index.stewards.merge(one, other, **BECAUSE)
    await index.mpi.delete_record(key("1"), actor="ada")
    await index.stewards.move(key("3"), "new", **BECAUSE)
    assert await decided(index.store) == {}


async def test_a_large_person_kept_apart_does_not_outweigh_all_others(index: Index) -> None:
    for number in range(100, 251):
        await index.add(MARGA, str(number))
    linked = await index.add(MARGA, "1")
    await index.stewards.undo(linked.event_id or "", **BECAUSE)
    labels = await decided(index.store)
    assert 50 < len(labels) <= 100
    assert set(labels.values()) == {False}


async def test_judgements_correct_links_and_tasks_once_there_are_enough(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await two_persons(index)
    await index.add(MARGA, "3")
    await index.stewards.merge(one, other, **BECAUSE)
    await index.stewards.assert_pair("not-same", key("1"), key("3"), **BECAUSE)
    labels = await decided(index.store)
    assert set(labels.values()) == {True, False}
    assert await calibrators(index.store, MODEL, labels) == Calibrators()
    monkeypatch.setattr(calibration, "FEWEST_JUDGED", 1)
    found = await calibrators(index.store, MODEL, labels | {(key("1"), key("gone")): True})
    assert found.links.judged == found.tasks.judged == len(labels)
