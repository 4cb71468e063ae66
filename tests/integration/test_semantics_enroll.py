"""What registering and asking mean."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mpi.domain.identity import TaskKind
from mpi.domain.record import RecordKey, TraitWarning
from mpi.domain.registration import read_flat
from mpi.errors import InvalidInput, NotFound
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


async def test_the_source_of_patients_without_ids_is_nobody_else_s(index: Index) -> None:
    made = await index.mpi.resolve(submission(MARGA), enroll=True, actor="ada")
    theirs = submission({**MARGA, "phone": "302-555-9999"}, made.source_id, source="anonymous")
    with pytest.raises(InvalidInput, match="without ids"):
        await index.mpi.resolve(theirs, enroll=True, actor="eve")
    seen = await index.mpi.get_record(RecordKey("anonymous", made.source_id or ""))
    assert seen.patient_data.phones == submission(MARGA).demographics.phones


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


async def test_a_bad_trait_is_not_a_bad_row(index: Index) -> None:
    answer = await index.add({**MARGA, "dob": "1961-O3-4x"}, "1")
    assert answer.status == "created"
    assert "dob" in {warning.field for warning in answer.warnings}
    assert (await index.mpi.get_record(key("1"))).patient_data.dob == "1961-O3-4x"


@pytest.mark.parametrize(
    "ids",
    [
        {"source": "lab"},
        {"source_id": "1"},
        {"source": "lab", "source_id": "1" * 256},
        {"source": "l" * 129, "source_id": "1"},
    ],
)
def test_one_id_without_the_other_or_one_too_long_is_refused(ids: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        read_flat({**MARGA, **ids})


async def test_a_number_of_no_american_form_is_an_opaque_national_id(index: Index) -> None:
    numbered = {"last_name": "Vandersloot", "ssn": "AB 123456 C"}
    await index.add(numbered, "1")
    for ssn, level in (("ab123456c", "exact"), ("AB123457C", "one_edit")):
        seen, _ = await index.mpi.explain(submission({**numbered, "ssn": ssn}), key("1"))
        (row,) = [r for r in seen.rows if (r.trait, r.kind) == ("national_id", "comparison")]
        assert (row.level, row.weight > 0) == (level, True)
    found, _ = await index.mpi.search(submission({"ssn": "AB123456C"}))
    assert [c.mpi_id for c in found] == [await index.owner("1")]


async def test_foreign_postcodes_and_states_are_kept(index: Index) -> None:
    home = {**MARGA, "city": "London", "state": "Greater London", "zip": "SW1A 1AA"}
    await index.add(home, "1")
    (address,) = (await index.store.record(key("1"))).standard.addresses  # type: ignore[union-attr]
    assert (address.zip, bool(address.state)) == ("SW1A1AA", True)


@pytest.mark.parametrize(
    ("patient", "source_id"),
    [
        (MARGA, "4232384faa3a330c29cbd035789c086e"),
        (
            MARGA | {"first_name": "Zoë", "last_name": "van der Berg-Łukasz"},
            "5b4210615e5d07d8ed6075cda2c5e813",
        ),
        (MARGA | {"dob": "31/02/1955", "ssn": "123-45-6789"}, "0567471960e79b37b8e3ab7f1d6dfa71"),
        (
            MARGA | {"address": "12 1/2 N Elm Street Apt 4", "city": "St Paul"},
            "c47a13fcf566608d99227b6644ec5321",
        ),
        (
            {"last_name": "Иванов", "dob": "1955-03", "email": "A.B@Example.org"},
            "b4aa45823468939550e5d6c3991642b9",
        ),
    ],
)
async def test_the_id_of_an_anonymous_record_never_changes(
    index: Index, patient: dict[str, str], source_id: str
) -> None:
    """Whoever changes what is read of a registration has to keep what is digested here."""
    answer = await index.mpi.resolve(submission(patient), enroll=True, actor="ada")
    assert answer.source_id == source_id


async def test_certain_for_two_that_are_kept_apart_joins_the_better_and_a_task_names_both(
    index: Index,
) -> None:
    one = await index.add(MARGA_BY_NUMBER, "1")
    other = await index.add(MARGA_BY_BIRTH, "2")
    await index.stewards.assert_pair("not-same", key("1"), key("2"), reason="seen", actor="eve")
    await index.add(MARGA, "1")
    both = await index.add(MARGA, "3")
    assert (both.status, both.mpi_id) == ("matched", one.mpi_id)
    task = await index.stewards.task(both.task_id or "")
    assert (task.kind, task.record) == (TaskKind.MERGE, key("3"))
    assert set(task.candidates) == {one.mpi_id, other.mpi_id}
