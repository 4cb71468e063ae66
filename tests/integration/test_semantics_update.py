"""What replacing, deleting and reviving a registration mean."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mpi.domain.identity import EventKind, TaskKind
from mpi.errors import Gone
from tests.support.index import (
    GONE_ASTRAY,
    MARGA,
    OTTO,
    Index,
    indexing,
    key,
)


async def test_an_update_replaces_the_whole_registration_and_keeps_versions(index: Index) -> None:
    await index.add(MARGA, "1")
    moved = {k: v for k, v in MARGA.items() if k != "email"} | {"phone": "302-555-0199"}
    answer = await index.add(moved, "1")
    assert answer.status == "matched"
    now = await index.mpi.get_record(key("1"))
    assert (now.version, now.patient_data.emails) == (2, ())
    first, second = await index.store.versions(key("1"))
    assert (first.status, second.status) == ("history", "active")
    assert first.demographics.emails == (MARGA["email"],)


async def test_an_older_registration_goes_to_history_only(index: Index) -> None:
    await index.add(MARGA, "1", recorded="2025-06-01T00:00:00Z")
    late = await index.add({**MARGA, "phone": "302-555-0111"}, "1", recorded="2024-01-01T00:00:00Z")
    assert late.status == "matched"
    now = await index.mpi.get_record(key("1"))
    assert now.patient_data.phones == (MARGA["phone"],)
    assert len(await index.store.versions(key("1"))) == 2


async def test_replaying_any_known_version_changes_nothing(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.add({**MARGA, "phone": "302-555-0199"}, "1")
    before = await index.mpi.statistics()
    for phone in (MARGA["phone"], "302-555-0199"):
        again = await index.add({**MARGA, "phone": phone}, "1")
        assert again.event_id is None
    assert await index.mpi.statistics() == before
    assert (await index.mpi.get_record(key("1"))).patient_data.phones == ("302-555-0199",)


async def test_content_recorded_later_than_it_was_known_comes_back(index: Index) -> None:
    wrong = {**MARGA, "phone": "302-555-0199"}
    await index.add(MARGA, "1", recorded="2024-01-01T00:00:00Z")
    await index.add(wrong, "1", recorded="2024-02-01T00:00:00Z")
    again = await index.add(MARGA, "1", recorded="2024-01-01T00:00:00Z")
    assert again.event_id is None
    corrected = await index.add(MARGA, "1", recorded="2024-03-01T00:00:00Z")
    assert corrected.event_id is not None
    assert (await index.mpi.get_record(key("1"))).patient_data.phones == (MARGA["phone"],)
    late = await index.add(wrong, "1", recorded="2024-02-15T00:00:00Z")
    assert (await index.mpi.get_record(key("1"))).patient_data.phones == (MARGA["phone"],)
    assert (late.status, len(await index.store.versions(key("1")))) == ("matched", 4)


async def test_a_date_before_the_content_was_known_brings_nothing_back(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.add({**MARGA, "phone": "302-555-0199"}, "1")
    again = await index.add(MARGA, "1", recorded="2001-01-01T00:00:00Z")
    assert again.event_id is None


async def test_what_was_known_before_a_deletion_is_another_patient_perhaps(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.mpi.delete_record(key("1"), actor="test")
    otto = await index.add(OTTO, "1")
    answer = await index.add(MARGA, "1")
    assert (answer.status, answer.mpi_id) == ("review", otto.mpi_id)
    assert (await index.stewards.task(answer.task_id or "")).kind is TaskKind.OVERLAY


async def test_an_update_never_moves_a_record_out_of_company_without_a_steward(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    before = await index.add(MARGA, "2")
    answer = await index.add(GONE_ASTRAY, "2")
    assert (answer.status, answer.mpi_id) == ("review", before.mpi_id)
    task = await index.stewards.task(answer.task_id or "")
    assert task.kind is TaskKind.UPDATE


async def test_an_update_of_a_lone_record_may_join_its_person(index: Index) -> None:
    older = await index.add(MARGA, "1")
    younger = await index.add({"last_name": "Vandersloot", "phone": "302-555-0123"}, "2")
    assert younger.mpi_id != older.mpi_id
    joined = await index.add(MARGA, "2")
    assert (joined.status, joined.mpi_id) == ("matched", older.mpi_id)
    assert await index.owner("2") == older.mpi_id


async def test_deleting_the_last_record_retires_the_person_and_keeps_its_history(
    index: Index,
) -> None:
    made = await index.add(MARGA, "1")
    deleted = await index.mpi.delete_record(key("1"), actor="ada")
    assert deleted.retired == (made.mpi_id,)
    with pytest.raises(Gone):
        await index.mpi.person(made.mpi_id or "")
    with pytest.raises(Gone):
        await index.mpi.get_record(key("1"))
    kinds = [event.kind for event in await index.mpi.history(made.mpi_id or "")]
    assert kinds == [EventKind.CREATED, EventKind.DELETED]
    assert (await index.ask(MARGA)).status == "no_match"


async def test_deleting_one_of_two_records_keeps_the_person(index: Index) -> None:
    made = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    assert (await index.mpi.delete_record(key("2"), actor="ada")).retired == ()
    assert (await index.mpi.person(made.mpi_id or "")).crosswalk == (("lab", "1"),)


async def test_a_record_that_changes_hands_while_its_deletion_waits_is_deleted(
    index: Index, tmp_path: Path
) -> None:
    made = await index.add(MARGA, "1")
    other = await index.add(OTTO, "2")
    async with indexing(tmp_path) as elsewhere:
        async with elsewhere.store.group():
            deletion = asyncio.create_task(index.mpi.delete_record(key("1"), actor="ada"))
            await asyncio.sleep(0.01)  # long enough for it to look
            await elsewhere.stewards.merge(
                other.mpi_id or "", made.mpi_id or "", reason="one", actor="eve"
            )
        assert (await deletion).mpi_id == other.mpi_id
    assert await index.partition() == {"2": other.mpi_id}


async def test_registering_a_deleted_record_revives_and_decides_again(index: Index) -> None:
    other = await index.add(MARGA, "1")
    await index.add(OTTO, "2")
    await index.mpi.delete_record(key("2"), actor="ada")
    revived = await index.add(MARGA, "2")
    assert (revived.status, revived.mpi_id) == ("matched", other.mpi_id)
    assert (await index.mpi.history(other.mpi_id or ""))[-1].kind is EventKind.REVIVED


async def test_reviving_the_same_content_makes_an_active_record(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.mpi.delete_record(key("1"), actor="ada")
    revived = await index.add(MARGA, "1")
    assert revived.event_id
    assert await index.owner("1") == revived.mpi_id
