"""What registering, asking and reading mean: one test per sentence."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mpi.domain.identity import EventKind, TaskKind, TaskStatus
from mpi.domain.record import TraitWarning
from mpi.errors import Gone, InvalidInput, MpiError, NotFound, PreconditionFailed
from mpi.service.answers import MatchAnswer
from tests.support.index import (
    MARGA,
    MARGA_BY_BIRTH,
    MARGA_BY_NUMBER,
    MARGA_IN_DOUBT,
    OTTO,
    Index,
    indexing,
    key,
    submission,
)

NEWBORN = {**MARGA, "first_name": "Baby Boy", "dob": "2026-01-02"}


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with indexing(tmp_path) as made:
        yield made


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


async def test_a_bad_trait_is_not_a_bad_row(index: Index) -> None:
    answer = await index.add({**MARGA, "dob": "1961-O3-4x"}, "1")
    assert answer.status == "created"
    assert "dob" in {warning.field for warning in answer.warnings}
    assert (await index.mpi.get_record(key("1"))).patient_data.dob == "1961-O3-4x"


async def test_warnings_of_reading_the_request_come_first(index: Index) -> None:
    seen = TraitWarning("colour", "unknown_field")
    answer = await index.mpi.resolve(submission(MARGA, "1"), actor="ada", warnings=(seen,))
    assert answer.warnings[0] == seen


async def test_review_makes_a_person_of_its_own_and_a_task(index: Index) -> None:
    first = await index.add(MARGA, "1")
    doubt = await index.add(MARGA_IN_DOUBT, "2")
    assert doubt.status == "review"
    assert doubt.mpi_id not in (None, first.mpi_id)
    task = await index.stewards.task(doubt.task_id or "")
    assert (task.kind, task.record) == (TaskKind.REVIEW, key("2"))
    assert task.candidates == (first.mpi_id,)


async def test_replaying_a_review_answers_the_same_person_and_task(index: Index) -> None:
    await index.add(MARGA, "1")
    doubt = await index.add(MARGA_IN_DOUBT, "2")
    again = await index.add(MARGA_IN_DOUBT, "2")
    assert (again.status, again.mpi_id, again.task_id) == ("review", doubt.mpi_id, doubt.task_id)
    assert again.event_id is None
    assert len(await index.stewards.tasks(None, None, 10)) == 1


async def test_a_query_in_the_grey_names_candidates_and_no_person(index: Index) -> None:
    made = await index.add(MARGA, "1")
    asked = await index.ask(MARGA_IN_DOUBT)
    assert (asked.status, asked.mpi_id) == ("review", None)
    assert [c.mpi_id for c in asked.candidates] == [made.mpi_id]


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


async def test_an_update_never_moves_a_record_out_of_company_without_a_steward(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    before = await index.add(MARGA, "2")
    gone_astray = {**OTTO, "first_name": MARGA["first_name"], "sex": "F"}
    answer = await index.add(gone_astray, "2")
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


async def test_an_overlay_is_durable_and_no_evidence_for_others(index: Index) -> None:
    await index.add(MARGA, "1")
    answer = await index.add(OTTO, "1")
    assert (answer.status, answer.provisional) == ("review", True)
    assert (await index.stewards.task(answer.task_id or "")).kind is TaskKind.OVERLAY
    assert (await index.mpi.get_record(key("1"))).pending
    assert (await index.mpi.get_record(key("1"))).patient_data.dob == MARGA["dob"]
    assert (await index.ask(OTTO)).status == "no_match"


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


async def test_a_stale_version_stops_an_update_and_a_deletion(index: Index) -> None:
    await index.add(MARGA, "1")
    change = submission({**MARGA, "phone": "302-555-0199"}, "1")
    with pytest.raises(PreconditionFailed):
        await index.mpi.resolve(change, actor="ada", if_match=7)
    with pytest.raises(PreconditionFailed):
        await index.mpi.delete_record(key("1"), actor="ada", if_match=7)
    assert (await index.mpi.resolve(change, actor="ada", if_match=1)).event_id
    assert (await index.mpi.delete_record(key("1"), actor="ada", if_match=2)).event_id


async def test_if_match_on_a_record_never_seen_fails(index: Index) -> None:
    with pytest.raises(PreconditionFailed):
        await index.mpi.resolve(submission(MARGA, "1"), actor="ada", if_match=1)


async def test_rows_of_a_batch_are_answered_in_order_and_see_earlier_rows(index: Index) -> None:
    rows = [submission(MARGA, "1"), submission(OTTO, "2"), submission(MARGA, "3")]
    rows += [submission(OTTO, "4"), submission(MARGA)]
    answers = [a for a in await index.batch(*rows) if isinstance(a, MatchAnswer)]
    assert [a.status for a in answers] == ["created", "created", "matched", "matched", "matched"]
    assert [a.source_id for a in answers] == ["1", "2", "3", "4", None]
    assert answers[0].mpi_id == answers[2].mpi_id == answers[4].mpi_id


async def test_a_bad_row_leaves_the_others_alone(index: Index) -> None:
    bad = InvalidInput("source_id is missing")
    first, second, third = await index.batch(submission(MARGA, "1"), bad, submission(OTTO, "2"))
    assert second is bad
    assert isinstance(first, MatchAnswer)
    assert isinstance(third, MatchAnswer)
    assert len(await index.partition()) == 2


async def test_one_id_twice_in_a_batch_is_an_update_in_order(index: Index) -> None:
    later = {**MARGA, "phone": "302-555-0199"}
    await index.batch(submission(MARGA, "1"), submission(later, "1"))
    now = await index.mpi.get_record(key("1"))
    assert (now.version, now.patient_data.phones) == (2, ("302-555-0199",))


async def test_a_batch_may_be_replayed(index: Index) -> None:
    rows: list[MatchAnswer | MpiError] = []
    for _ in range(2):
        rows = await index.batch(submission(MARGA, "1"), submission(OTTO, "2"))
    assert [row.event_id for row in rows if isinstance(row, MatchAnswer)] == [None, None]
    assert (await index.mpi.statistics())["events"] == 2


async def test_a_batch_of_queries_changes_nothing(index: Index) -> None:
    await index.batch(submission(MARGA, "1"), submission(OTTO, "2"), enroll=False)
    assert (await index.mpi.statistics())["events"] == 0


@pytest.mark.parametrize("source_id", [None, "9"])
async def test_the_rows_of_an_explanation_sum_to_the_weight(
    index: Index, source_id: str | None
) -> None:
    await index.add(MARGA, "1")
    await index.add({**MARGA, "phone": "302-555-0199", "address": "9 Mill Road"}, "2")
    answer = await index.mpi.resolve(submission(MARGA, source_id), explain=True, actor="ada")
    assert answer.explanation is not None
    rows = answer.explanation.rows
    assert math.fsum(row.weight for row in rows) == answer.explanation.match_weight
    assert answer.match_weight == answer.explanation.match_weight
    assert {"prior", "comparison", "term_frequency"} <= {row.kind for row in rows}
    assert all(row.record for row in rows if row.kind == "comparison")


async def test_there_is_nothing_to_explain_without_a_candidate(index: Index) -> None:
    answer = await index.mpi.resolve(submission(MARGA), explain=True, actor="ada")
    assert answer.explanation is None


async def test_two_records_are_explained_stored_or_given(index: Index) -> None:
    made = await index.add(MARGA, "1")
    found = await index.mpi.explain(submission(MARGA), key("1"))
    assert found.mpi_id == made.mpi_id
    assert found.grade == "certain"
    apart = await index.mpi.explain(key("1"), submission(OTTO))
    assert apart.grade == "certainly-not"
    with pytest.raises(NotFound):
        await index.mpi.explain(key("1"), key("unknown"))


async def test_the_same_question_has_the_same_answer(index: Index) -> None:
    await index.add(MARGA, "1")
    first, second = await index.ask(MARGA_IN_DOUBT), await index.ask(MARGA_IN_DOUBT)
    assert replace(first, processing_time_ms=0) == replace(second, processing_time_ms=0)


async def test_an_alias_is_read_as_the_person_that_survives(index: Index) -> None:
    kept, gone = await index.add(MARGA, "1"), await index.add(OTTO, "2")
    await index.stewards.merge(kept.mpi_id or "", gone.mpi_id or "", reason="seen", actor="eve")
    seen = await index.mpi.person((gone.mpi_id or "").lower())
    assert (seen.mpi_id, seen.requested_mpi_id) == (kept.mpi_id, gone.mpi_id)
    assert seen.crosswalk == (("lab", "1"), ("lab", "2"))


async def test_a_person_is_read_as_it_was(index: Index) -> None:
    made = await index.add(MARGA, "1")
    before = (await index.mpi.history(made.mpi_id or ""))[-1].at
    await index.add({**MARGA, "phone": "302-555-0199"}, "1")
    await index.add(MARGA, "2")
    then = await index.mpi.person(made.mpi_id or "", as_of=before)
    assert then.crosswalk == (("lab", "1"),)
    assert then.records[0].patient_data.phones == (MARGA["phone"],)
    now = await index.mpi.person(made.mpi_id or "")
    assert len(now.records) == 2


async def test_a_person_that_lost_a_record_still_shows_it_in_the_past(index: Index) -> None:
    made = await index.add(MARGA, "1")
    await index.add(MARGA, "2")
    before = (await index.mpi.history(made.mpi_id or ""))[-1].at
    await index.mpi.delete_record(key("2"), actor="ada")
    await index.add(MARGA, "3")
    after = (await index.mpi.history(made.mpi_id or ""))[-1].at
    then = await index.mpi.person(made.mpi_id or "", as_of=before)
    assert then.crosswalk == (("lab", "1"), ("lab", "2"))
    later = await index.mpi.person(made.mpi_id or "", as_of=after)
    assert later.crosswalk == (("lab", "1"), ("lab", "3"))


@pytest.mark.parametrize("mpi_id", ["MPI-00000000X", "nonsense", "MPI-000000000"])
async def test_an_unknown_or_mistyped_id_is_not_found(index: Index, mpi_id: str) -> None:
    with pytest.raises(NotFound):
        await index.mpi.person(mpi_id)
    with pytest.raises(NotFound):
        await index.mpi.history(mpi_id)


async def test_a_search_ranks_candidates_and_never_enrolls(index: Index) -> None:
    made = await index.add(MARGA, "1")
    found = await index.mpi.search(submission(MARGA_IN_DOUBT, "2"))
    assert [c.mpi_id for c in found] == [made.mpi_id]
    assert await index.mpi.search(submission(MARGA_IN_DOUBT), limit=0) == ()
    assert (await index.mpi.statistics())["records"] == 1


async def test_a_medical_record_number_counts_only_within_its_source(index: Index) -> None:
    numbered = {"last_name": "Vandersloot", "mrn": "A-4711"}
    first = await index.add(numbered, "1", source="lab")
    await index.add(numbered, "1", source="clinic")
    same = await index.mpi.explain(key("1"), submission(numbered, "2", source="lab"))
    other = await index.mpi.explain(key("1"), key("1", "clinic"))
    assert first.status == "created"
    assert ("identifier", "exact") in {(row.trait, row.level) for row in same.rows}
    assert "identifier" not in {row.trait for row in other.rows}


async def test_the_person_lists_what_waits_for_a_steward(index: Index) -> None:
    first = await index.add(MARGA, "1")
    doubt = await index.add(MARGA_IN_DOUBT, "2")
    assert (await index.mpi.person(first.mpi_id or "")).tasks == (doubt.task_id,)
    assert (await index.mpi.person(doubt.mpi_id or "")).tasks == (doubt.task_id,)
    waiting = await index.stewards.tasks(TaskStatus.OPEN, None, 10)
    assert [task.task_id for task in waiting] == [doubt.task_id]


async def test_the_feed_starts_after_a_number(index: Index) -> None:
    await index.add(MARGA, "1")
    await index.add(OTTO, "2")
    first, second = await index.mpi.events(0, 10)
    assert await index.mpi.events(first.seq, 10) == (second,)


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
