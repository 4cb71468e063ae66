"""What happens to another patient's data on a known record."""

from __future__ import annotations

import asyncio

import pytest

from mpi.domain.identity import NEW_PERSON, TaskKind, TaskStatus
from mpi.errors import Conflict, Gone, InvalidInput
from tests.support.index import (
    MARGA,
    OTTO,
    Index,
    key,
)
from tests.support.stewards import BECAUSE, overlaid

NEWBORN = {**MARGA, "first_name": "Baby Boy", "dob": "2026-01-02"}


async def test_an_overlay_is_durable_and_no_evidence_for_others(index: Index) -> None:
    await index.add(MARGA, "1")
    answer = await index.add(OTTO, "1")
    assert (answer.status, answer.provisional) == ("review", True)
    assert (await index.stewards.task(answer.task_id or "")).kind is TaskKind.OVERLAY
    assert (await index.mpi.get_record(key("1"))).pending
    seen = await index.mpi.get_record(key("1"))
    assert (seen.patient_data.dob, seen.proposed and seen.proposed.dob) == (
        MARGA["dob"],
        OTTO["dob"],
    )
    assert [r.pending for r in (await index.mpi.person(seen.mpi_id or "")).records] == [True]
    assert (await index.ask(OTTO)).status == "no_match"


async def test_an_overlay_ends_with_the_deletion_and_is_asked_anew(index: Index) -> None:
    await overlaid(index)
    await index.mpi.delete_record(key("1"), actor="test")
    await index.add(MARGA, "1")
    seen = await index.mpi.get_record(key("1"))
    assert (seen.pending, seen.proposed) == (False, None)
    again = await index.add(OTTO, "1")
    assert (again.status, again.provisional) == ("review", True)
    assert (await index.add(OTTO, "1")).event_id is None
    assert (await index.mpi.get_record(key("1"))).pending
    await index.stewards.decide(again.task_id or "", "accept", **BECAUSE)
    assert (await index.mpi.get_record(key("1"))).patient_data.dob == OTTO["dob"]


async def test_a_rejected_overlay_cannot_wait_again_after_a_deletion(index: Index) -> None:
    task = await overlaid(index)
    rejected = await index.stewards.decide(task, "reject", **BECAUSE)
    await index.mpi.delete_record(key("1"), actor="test")
    with pytest.raises(Conflict, match="deleted since"):
        await index.stewards.undo(rejected.event_id or "", **BECAUSE)


async def test_a_twin_or_nobody_in_the_place_of_a_patient_alone_is_an_overlay(index: Index) -> None:
    twin = {name: value for name, value in MARGA.items() if name != "ssn"}
    await index.add(twin, "1")
    for other in ({**twin, "first_name": "Philippa"}, {"address": MARGA["address"]}):
        answer = await index.add(other, "1")
        assert (await index.stewards.task(answer.task_id or "")).kind is TaskKind.OVERLAY
    assert (await index.mpi.get_record(key("1"))).patient_data.dob == MARGA["dob"]


async def test_replaying_an_overlay_answers_the_same_task(index: Index) -> None:
    await index.add(MARGA, "1")
    first, again = await index.add(OTTO, "1"), await index.add(OTTO, "1")
    assert (again.task_id, again.status, again.event_id) == (first.task_id, "review", None)
    assert again.provisional


async def test_a_real_name_for_a_placeholder_is_no_overlay(index: Index) -> None:
    await index.add(NEWBORN, "1")
    answer = await index.add({**NEWBORN, "first_name": "Leopold"}, "1")
    assert (answer.status, answer.provisional) == ("matched", False)
    assert (await index.mpi.get_record(key("1"))).patient_data.names[0].given == "Leopold"


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


async def test_what_was_said_of_the_patient_before_ends_with_an_overlay_by_another(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    said = await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    task = (await index.add(OTTO, "1")).task_id or ""
    decided = await index.stewards.decide(task, "new", **BECAUSE)
    undone = await index.stewards.undo(decided.event_id or "", **BECAUSE)
    assert await index.owner("1") == await index.owner("2") == said.mpi_id
    assert [move["record"] for move in undone.detail["moves"]] == [["lab", "1"]]
    assert await index.store.assertions([key("1")])
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    assert not await index.store.assertions([key("1")])
    changed = await index.add({**OTTO, "phone": MARGA["phone"]}, "1")
    assert changed.mpi_id == await index.owner("1") != said.mpi_id


async def test_what_was_said_of_the_patient_before_ends_when_the_number_comes_back_as_another_s(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    said = await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="test")
    relative = {**MARGA, **{name: OTTO[name] for name in ("first_name", "dob", "ssn")}}
    revived = await index.add(relative, "2")
    assert revived.mpi_id != said.mpi_id
    again = await index.add({**relative, "email": "o@example.com"}, "2")
    assert again.mpi_id == revived.mpi_id


async def test_an_overlay_has_outcomes_of_its_own(index: Index) -> None:
    task = await overlaid(index)
    with pytest.raises(InvalidInput):
        await index.stewards.decide(task, "same", **BECAUSE)


@pytest.mark.parametrize("company", [True, False])
@pytest.mark.parametrize("outcome", ["accept", "new", "reject"])
async def test_a_decided_overlay_waits_again_when_that_is_undone(
    index: Index, outcome: str, company: bool
) -> None:
    task = await overlaid(index, company)
    before = await index.partition()
    decided = await index.stewards.decide(task, outcome, **BECAUSE)
    after, then = await index.partition(), await index.mpi.get_record(key("1"))
    undone = await index.stewards.undo(decided.event_id or "", **BECAUSE)
    now = await index.mpi.get_record(key("1"))
    assert (now.patient_data.dob, now.pending) == (MARGA["dob"], True)
    assert await index.partition() == before
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN
    replayed = await index.add(OTTO, "1")
    assert (replayed.task_id, replayed.provisional, replayed.event_id) == (task, True, None)
    await index.stewards.undo(undone.event_id or "", **BECAUSE)
    again = await index.mpi.get_record(key("1"))
    assert (again.patient_data, again.pending) == (then.patient_data, False)
    assert await index.partition() == after
    assert (await index.stewards.task(task)).outcome == outcome


async def test_an_accepted_overlay_that_was_replaced_since_stays_accepted(index: Index) -> None:
    task = await overlaid(index)
    decided = await index.stewards.decide(task, "accept", **BECAUSE)
    await index.add({**OTTO, "phone": "503-555-0100"}, "1")
    with pytest.raises(Conflict, match="newer version"):
        await index.stewards.undo(decided.event_id or "", **BECAUSE)


TARA = {
    **OTTO,
    "first_name": "Tara",
    "last_name": "Oduya",
    "dob": "1999-07-30",
    "ssn": "",
    "sex": "F",
}


async def test_who_waits_in_the_place_of_another_is_asked_about_anew(index: Index) -> None:
    task = await overlaid(index)
    await index.stewards.claim(task, actor="eve")
    later = await index.add(TARA, "1")
    assert later.task_id not in (None, task)
    with pytest.raises(Conflict, match="decided already"):
        await index.stewards.decide(task, "accept", **BECAUSE)
    assert (await index.stewards.task(task)).outcome == "superseded"
    versions = await index.store.versions(key("1"))
    assert [v.status for v in versions] == ["active", "history", "pending"]
    await index.stewards.decide(later.task_id or "", "accept", **BECAUSE)
    now = await index.mpi.get_record(key("1"))
    assert (now.patient_data.dob, now.pending) == (TARA["dob"], False)


async def test_what_was_superseded_is_a_repetition_and_waits_no_more(index: Index) -> None:
    await overlaid(index)
    later = await index.add(TARA, "1")
    again = await index.add(OTTO, "1")
    assert (again.task_id, again.event_id) == (later.task_id, None)
    await index.stewards.decide(later.task_id or "", "reject", **BECAUSE)
    assert not (await index.mpi.get_record(key("1"))).pending
    again = await index.add(OTTO, "1")
    assert (again.status, again.task_id, again.provisional) == ("matched", None, False)


async def test_two_versions_never_wait_at_once(index: Index) -> None:
    task = await overlaid(index)
    rejected = await index.stewards.decide(task, "reject", **BECAUSE)
    await index.add(TARA, "1")
    with pytest.raises(Conflict, match="waits in its place"):
        await index.stewards.undo(rejected.event_id or "", **BECAUSE)


async def test_a_merge_tells_nothing_of_a_version_that_waits(index: Index) -> None:
    task = await overlaid(index, company=True)
    both = await index.owner("1") or ""
    await index.stewards.move(key("1"), NEW_PERSON, **BECAUSE)
    await index.stewards.merge(both, await index.owner("1") or "", **BECAUSE)
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN


async def test_an_older_recording_takes_no_place_of_one_that_waits(index: Index) -> None:
    await index.add(MARGA, "1", recorded="2026-01-01T00:00:00Z")
    later = await index.add(OTTO, "1", recorded="2026-03-01T00:00:00Z")
    await index.add(TARA, "1", recorded="2026-02-01T00:00:00Z")
    versions = await index.store.versions(key("1"))
    assert [v.status for v in versions] == ["active", "pending", "history"]
    assert (await index.stewards.task(later.task_id or "")).status is TaskStatus.OPEN


async def test_two_that_come_to_wait_at_once_leave_one_with_a_task(index: Index) -> None:
    await index.add(MARGA, "1")
    others = [{**OTTO, "dob": f"19{number}-11-02"} for number in range(60, 68)]
    await asyncio.gather(*(index.add(other, "1") for other in others))
    versions = await index.store.versions(key("1"))
    assert [v.status.value for v in versions].count("pending") == 1
    open_tasks = await index.stewards.tasks(None, None, 100)
    assert len([t for t in open_tasks if t.status is not TaskStatus.DECIDED]) == 1
