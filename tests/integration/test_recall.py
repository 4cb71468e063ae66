"""The cache in the service: what is answered from it, what never is, and what ends an answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mpi.domain.identity import PersonState, StoredRecord, TaskStatus
from mpi.domain.record import TraitWarning
from mpi.matching.blocking import BlockingKeys, blocking_keys
from mpi.matching.standardize import standardize
from mpi.ports import KeptAnswer, Resolution
from mpi.service.answers import MatchAnswer
from mpi.stores.sqlite.store import SqliteStore
from tests.support.cache import Gate, kept, memory
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


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with indexing(tmp_path, cache=memory()) as made:
        yield made


def content(answer: MatchAnswer) -> MatchAnswer:
    """An answer without what belongs to one request."""
    return replace(answer, served_from="", processing_time_ms=0.0)


async def test_a_query_asked_again_is_answered_from_memory_with_the_same_content(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA_IN_DOUBT, "2")
    for fields in (MARGA, MARGA_IN_DOUBT, OTTO, {**OTTO, "ssn": "999-99-9999"}):
        first = await index.ask(fields)
        again = await index.ask(fields)
        assert (first.served_from, again.served_from) == ("provider", "memory")
        assert content(again) == content(first)
    assert index.told == Counter({"miss memory": 4, "hit memory": 4})


async def test_another_question_is_not_answered_from_memory(index: Index) -> None:
    await kept(index, MARGA)
    assert (await index.ask({**MARGA, "zip": "19902"})).served_from == "provider"


async def test_warnings_of_reading_the_request_are_part_of_the_question(index: Index) -> None:
    await kept(index, MARGA)
    strange = (TraitWarning("shoe_size", "unknown_field"),)
    for served in ("provider", "memory"):
        answer = await index.mpi.resolve(submission(MARGA), actor="ada", warnings=strange)
        assert (answer.served_from, answer.warnings) == (served, strange)


async def test_an_enrolling_request_is_never_answered_from_memory(index: Index) -> None:
    await kept(index, MARGA)
    made = await index.add(MARGA, "1")
    again = await index.add(MARGA, "1")
    assert (made.status, made.served_from) == ("created", "provider")
    assert (again.status, again.served_from) == ("matched", "provider")


async def test_an_explanation_bypasses_the_cache(index: Index) -> None:
    await index.add(MARGA, "1")
    await kept(index, MARGA)
    answer = await index.mpi.resolve(submission(MARGA), explain=True, actor="ada")
    assert answer.served_from == "provider"
    assert answer.explanation is not None
    assert (await index.ask(MARGA)).explanation is None


async def test_queries_of_a_batch_are_answered_from_memory(index: Index) -> None:
    await kept(index, MARGA)
    (row,) = await index.batch(submission(MARGA))
    assert isinstance(row, MatchAnswer)
    assert row.served_from == "memory"


async def test_a_query_among_registrations_sees_the_rows_before_it(index: Index) -> None:
    await kept(index, MARGA)
    made, asked = await index.batch(submission(MARGA, "1"), submission(MARGA))
    assert isinstance(made, MatchAnswer)
    assert isinstance(asked, MatchAnswer)
    assert (asked.status, asked.mpi_id, asked.served_from) == ("matched", made.mpi_id, "provider")


async def test_a_group_that_is_given_up_leaves_nothing_in_the_cache(index: Index) -> None:
    async def give_up() -> None:
        async with index.store.group():
            await index.add(MARGA, "1")
            raise RuntimeError

    await kept(index, MARGA)
    with pytest.raises(RuntimeError):
        await give_up()
    assert (await index.ask(MARGA)).status == "no_match"
    await index.add(OTTO, "2")
    assert (await index.ask(MARGA)).status == "no_match"
    assert (await index.ask(OTTO)).status == "matched"


async def test_a_registration_ends_a_kept_no_match(index: Index) -> None:
    await kept(index, MARGA)
    made = await index.add(MARGA, "1")
    answer = await index.ask(MARGA)
    assert (answer.status, answer.mpi_id) == ("matched", made.mpi_id)


async def test_a_registration_of_somebody_else_leaves_the_answer(index: Index) -> None:
    await kept(index, MARGA)
    await index.add(OTTO, "1")
    assert (await index.ask(MARGA)).served_from == "memory"


Change = Callable[[Index], Awaitable[object]]


async def _merge(index: Index) -> None:
    one, other = await index.owner("1"), await index.owner("2")
    assert one
    assert other
    await index.stewards.merge(one, other, reason="seen", actor="ada")


async def _merge_and_undo(index: Index) -> None:
    one, other = await index.owner("1"), await index.owner("2")
    assert one
    assert other
    merged = await index.stewards.merge(one, other, reason="seen", actor="ada")
    await kept(index, MARGA)
    assert merged.event_id
    await index.stewards.undo(merged.event_id, reason="wrong", actor="ada")


async def _assert_same(index: Index) -> None:
    await index.stewards.assert_pair("same", key("1"), key("2"), reason="seen", actor="ada")


async def _move(index: Index) -> None:
    other = await index.owner("2")
    assert other
    await index.stewards.move(key("1"), other, reason="seen", actor="ada")


async def _delete(index: Index) -> None:
    await index.mpi.delete_record(key("1"), actor="ada")


async def _delete_and_revive(index: Index) -> None:
    await _delete(index)
    await kept(index, MARGA)
    await index.add(MARGA, "1")


async def _update_away(index: Index) -> None:
    await index.add({**MARGA, "ssn": "", "dob": "1961-03-01", "phone": "", "email": ""}, "1")


async def _decide(index: Index) -> None:
    (task,) = await index.stewards.tasks(TaskStatus.OPEN, None, 10)
    await index.stewards.decide(task.task_id, "same", actor="ada", reason="seen")


CHANGES: dict[str, Change] = {
    "merge": _merge,
    "undo": _merge_and_undo,
    "assertion": _assert_same,
    "move": _move,
    "delete": _delete,
    "revive": _delete_and_revive,
    "update": _update_away,
    "decision of a task": _decide,
}


@pytest.mark.parametrize("change", CHANGES)
async def test_every_change_ends_the_answers_that_rest_on_it(index: Index, change: str) -> None:
    await index.add(MARGA, "1")
    await index.add(MARGA_IN_DOUBT, "2")
    await kept(index, MARGA)
    await kept(index, OTTO)
    await CHANGES[change](index)
    answer = await index.ask(MARGA)
    assert answer.served_from == "provider"
    assert (await index.ask(OTTO)).served_from == "memory"


async def test_an_update_ends_answers_about_what_the_record_says_now(index: Index) -> None:
    await index.add(OTTO, "1")
    await kept(index, MARGA)
    await index.add({**OTTO, "email": MARGA["email"], "phone": MARGA["phone"]}, "1")
    assert (await index.ask(MARGA)).served_from == "provider"


async def test_accepting_an_overlay_ends_answers_about_the_new_patient(index: Index) -> None:
    await index.add(MARGA, "1")
    pending = await index.add(OTTO, "1")
    assert (await kept(index, OTTO)).status == "no_match"
    assert pending.task_id
    await index.stewards.decide(pending.task_id, "accept", actor="ada", reason="the same number")
    assert (await index.ask(OTTO)).status == "matched"


async def test_after_many_changes_at_once_everything_is_asked_anew(index: Index) -> None:
    await kept(index, MARGA)
    for number in range(101):
        await index.add({"last_name": "Solitary", "mrn": f"{number:07}"}, f"m{number}")
    assert (await index.ask(MARGA)).served_from == "provider"


class _Shortlived(Gate):
    """Says that its answers hold for two events only."""

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        found = await super().resolve(record, keys, home)
        return replace(found, valid_until=found.position + 2)


async def test_an_answer_ends_when_the_provider_says_so(tmp_path: Path) -> None:
    async with indexing(tmp_path, cache=memory(), around=_Shortlived) as index:
        await kept(index, MARGA)
        for source_id, served_from in (("1", "memory"), ("2", "memory"), ("3", "provider")):
            await index.add(OTTO, source_id)
            assert (await index.ask(MARGA)).served_from == served_from


async def test_a_commit_of_another_process_ends_the_answers_that_rest_on_it(
    tmp_path: Path,
) -> None:
    async with indexing(tmp_path, cache=memory()) as here, indexing(tmp_path) as there:
        await kept(here, MARGA)
        await kept(here, OTTO)
        made = await there.add(MARGA, "1")
        await asyncio.sleep(0)  # what another process is told, it is told between two turns of ours
        assert (await here.ask(MARGA)).mpi_id == made.mpi_id
        assert (await here.ask(OTTO)).served_from == "memory"
        other = await there.add(OTTO, "2")
        await asyncio.sleep(0)
        assert (await here.ask(OTTO)).mpi_id == other.mpi_id


async def test_two_certain_persons_that_merge_end_the_answer_about_both(index: Index) -> None:
    await index.add(MARGA_BY_NUMBER, "1")
    await index.add(MARGA_BY_BIRTH, "2")
    before = await kept(index, MARGA_BY_BIRTH)
    merged = await index.add(MARGA, "3")
    after = await index.ask(MARGA_BY_BIRTH)
    assert before.mpi_id != merged.mpi_id
    assert after.mpi_id == merged.mpi_id


async def test_keys_and_tags_of_the_cache_tell_nothing_about_patients(tmp_path: Path) -> None:
    seen: list[bytes] = []

    class Watched:
        tier = "memory"

        async def get(self, key: bytes) -> KeptAnswer | None:
            return None

        async def put(self, key: bytes, answer: KeptAnswer) -> None:
            seen.extend((key, *(tag.to_bytes(8) for tag in answer.tags)))

    async with indexing(tmp_path, cache=Watched()) as index:
        await index.add(MARGA, "1")
        await index.ask(MARGA)
    asked = blocking_keys(standardize(submission(MARGA).demographics)[0])
    text = b"|".join(seen).lower()
    assert len(seen) > 10
    assert not any(value.lower().encode() in text for value in MARGA.values() if len(value) > 2)
    assert not any(number.to_bytes(8) in seen for number, _ in asked)


async def test_queries_that_came_together_look_once_where_the_index_stands(index: Index) -> None:
    await kept(index, MARGA)
    looks: list[str] = []
    assert isinstance(index.store, SqliteStore)
    index.store._transactions._outside.set_trace_callback(looks.append)
    await asyncio.gather(*(index.ask(MARGA) for _ in range(9)))
    assert len(looks) == 1
    await asyncio.sleep(0)
    await index.ask(MARGA)
    assert len(looks) == 2
