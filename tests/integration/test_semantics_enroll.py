"""What registering and asking mean."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mpi.domain.record import TraitWarning
from mpi.errors import NotFound
from tests.support.index import (
    MARGA,
    MARGA_BY_BIRTH,
    MARGA_BY_NUMBER,
    Index,
    indexing,
    key,
    submission,
)


async def test_a_registration_with_ids_is_enrolled(index: Index) -> None:
    made = await index.add(MARGA, "1")
    assert (made.status, made.source, made.source_id) == ("created", "lab", "1")
    assert made.mpi_id == await index.owner("1")
    assert made.event_id


async def test_a_submission_without_ids_changes_nothing(index: Index) -> None:
    asked = await index.ask(MARGA)
    assert (asked.status, asked.mpi_id, asked.event_id) == ("no_match", None, None)
    assert (await index.mpi.statistics())["records"] == 0


async def test_a_query_finds_the_registered_person(index: Index) -> None:
    made = await index.add(MARGA, "1")
    asked = await index.ask(MARGA)
    assert (asked.status, asked.mpi_id) == ("matched", made.mpi_id)
    assert asked.confidence is not None
    assert asked.confidence > 0.99


async def test_a_request_may_say_no_to_enrolling(index: Index) -> None:
    answer = await index.mpi.resolve(submission(MARGA, "1"), enroll=False, actor="ada")
    assert answer.status == "no_match"
    with pytest.raises(NotFound):
        await index.mpi.get_record(key("1"))


async def test_an_anonymous_submission_is_enrolled_on_request_under_a_digest(index: Index) -> None:
    answer = await index.mpi.resolve(submission(MARGA), enroll=True, actor="ada")
    again = await index.mpi.resolve(submission(MARGA), enroll=True, actor="ada")
    assert (answer.status, answer.source) == ("created", "anonymous")
    assert (again.source_id, again.mpi_id) == (answer.source_id, answer.mpi_id)
    assert again.event_id is None
    assert "VANDERSLOOT" not in str(answer.source_id).upper()


async def test_too_little_to_recognise_again_is_not_enrolled_anonymously(index: Index) -> None:
    answer = await index.mpi.resolve(submission({"first_name": "Anna"}), enroll=True, actor="ada")
    assert (answer.status, answer.reason) == ("no_match", "insufficient_demographics")
    assert (await index.mpi.statistics())["records"] == 0


async def test_the_policy_always_enrolls_what_has_no_ids(tmp_path: Path) -> None:
    async with indexing(tmp_path, enroll="always") as index:
        assert (await index.ask(MARGA)).source == "anonymous"


async def test_the_policy_never_leaves_registrations_out(tmp_path: Path) -> None:
    async with indexing(tmp_path, enroll="never") as index:
        assert (await index.add(MARGA, "1")).event_id is None


async def test_warnings_of_reading_the_request_come_first(index: Index) -> None:
    seen = TraitWarning("colour", "unknown_field")
    answer = await index.mpi.resolve(submission(MARGA, "1"), actor="ada", warnings=(seen,))
    assert answer.warnings[0] == seen


async def test_certain_for_two_persons_merges_them_and_the_older_id_survives(index: Index) -> None:
    older = await index.add(MARGA_BY_NUMBER, "1")
    younger = await index.add(MARGA_BY_BIRTH, "2")
    assert older.mpi_id != younger.mpi_id
    both = await index.add(MARGA, "3")
    assert both.mpi_id == older.mpi_id
    assert set((await index.partition()).values()) == {older.mpi_id}
    assert (await index.mpi.person(younger.mpi_id or "")).mpi_id == older.mpi_id


async def test_certain_for_two_persons_asserted_not_same_is_a_task(index: Index) -> None:
    one = await index.add(MARGA_BY_NUMBER, "1")
    other = await index.add(MARGA_BY_BIRTH, "2")
    await index.stewards.assert_pair("not-same", key("1"), key("2"), reason="seen", actor="eve")
    both = await index.add(MARGA, "3")
    task = await index.stewards.task(both.task_id or "")
    assert {one.mpi_id, other.mpi_id} <= set(task.candidates)
    assert await index.owner("1") != await index.owner("2")


async def test_two_services_that_register_one_patient_at_once_make_one_person(
    index: Index, tmp_path: Path
) -> None:
    async with indexing(tmp_path) as second:
        adds = [
            service.add(MARGA, f"{n}{name}")
            for n in range(4)
            for name, service in (("a", index), ("b", second))
        ]
        answers = await asyncio.gather(*adds)
    assert len({answer.mpi_id for answer in answers}) == 1
    assert len(await index.partition()) == len(adds)
