"""What reading and explaining mean."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from mpi.domain.identity import TaskStatus
from mpi.errors import Gone, NotFound
from tests.support.index import (
    MARGA,
    MARGA_IN_DOUBT,
    OTTO,
    Index,
    key,
    submission,
)
from tests.support.stewards import BECAUSE


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
    found, _ = await index.mpi.explain(submission(MARGA), key("1"))
    assert found.mpi_id == made.mpi_id
    assert found.grade == "certain"
    apart, _ = await index.mpi.explain(key("1"), submission(OTTO))
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


async def test_the_past_of_an_alias_is_what_it_named_then(index: Index) -> None:
    kept, gone = await index.add(MARGA, "1"), await index.add(OTTO, "2")
    apart = index.clock.now
    merged = await index.stewards.merge(kept.mpi_id or "", gone.mpi_id or "", **BECAUSE)
    together = index.clock.now
    await index.stewards.undo(merged.event_id or "", **BECAUSE)
    before = await index.mpi.person(gone.mpi_id or "", as_of=apart)
    assert (before.mpi_id, before.crosswalk) == (gone.mpi_id, (("lab", "2"),))
    then = await index.mpi.person(gone.mpi_id or "", as_of=together)
    assert (then.mpi_id, then.requested_mpi_id) == (kept.mpi_id, gone.mpi_id)
    assert then.crosswalk == (("lab", "1"), ("lab", "2"))
    assert (then.version, before.version) == (2, 1)


async def test_the_past_shows_the_version_that_was_current_also_of_a_record_that_joined(
    index: Index,
) -> None:
    kept = await index.add(MARGA, "1")
    await index.add(OTTO, "2", recorded="2025-06-01T00:00:00Z")
    await index.add({**OTTO, "phone": "503-555-0100"}, "2", recorded="2024-06-01T00:00:00Z")
    await index.add(MARGA, "2")
    await index.stewards.move(key("2"), kept.mpi_id or "", **BECAUSE)
    then = index.clock.now
    await index.add({**OTTO, "phone": "503-555-0111"}, "2", recorded="2026-06-01T00:00:00Z")
    seen = await index.mpi.person(kept.mpi_id or "", as_of=then)
    phones = {r.source_id: r.patient_data.phones for r in seen.records}
    assert phones == {"1": (MARGA["phone"],), "2": (OTTO["phone"],)}
    assert {r.status for r in seen.records} == {"active"}


async def test_before_its_birth_a_person_is_not_found_and_after_its_end_gone(
    index: Index,
) -> None:
    early = index.clock.now
    made = await index.add(MARGA, "1")
    await index.mpi.delete_record(key("1"), actor="ada")
    with pytest.raises(NotFound):
        await index.mpi.person(made.mpi_id or "", as_of=early)
    with pytest.raises(Gone):
        await index.mpi.person(made.mpi_id or "", as_of=index.clock.now)


@pytest.mark.parametrize("mpi_id", ["MPI-00000000X", "nonsense", "MPI-000000000"])
async def test_an_unknown_or_mistyped_id_is_not_found(index: Index, mpi_id: str) -> None:
    with pytest.raises(NotFound):
        await index.mpi.person(mpi_id)
    with pytest.raises(NotFound):
        await index.mpi.history(mpi_id)


async def test_a_search_ranks_candidates_and_never_enrolls(index: Index) -> None:
    made = await index.add(MARGA, "1")
    found, _ = await index.mpi.search(submission(MARGA_IN_DOUBT, "2"))
    assert [c.mpi_id for c in found] == [made.mpi_id]
    assert await index.mpi.search(submission(MARGA_IN_DOUBT), limit=0) == ((), ())
    assert (await index.mpi.statistics())["records"] == 1


async def test_a_medical_record_number_counts_only_within_its_source(index: Index) -> None:
    numbered = {"last_name": "Vandersloot", "mrn": "A-4711"}
    first = await index.add(numbered, "1", source="lab")
    await index.add(numbered, "1", source="clinic")
    same, _ = await index.mpi.explain(key("1"), submission(numbered, "2", source="lab"))
    other, _ = await index.mpi.explain(key("1"), key("1", "clinic"))
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
