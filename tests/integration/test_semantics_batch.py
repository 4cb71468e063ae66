"""What a batch means."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mpi.domain.identity import Committed, IdentityChange
from mpi.errors import ConcurrentChange, InvalidInput, MpiError
from mpi.service import retrying
from mpi.service.answers import MatchAnswer
from tests.support.index import (
    MARGA,
    OTTO,
    Index,
    indexing,
    key,
    submission,
)


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


async def test_a_row_that_is_late_within_its_group_waits_for_nobody_outside(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the turn outside waits for the group to end, so the group must not wait for the turn."""
    monkeypatch.setattr(retrying, "_LONGEST_WAIT_FOR_TURN_S", 60)
    commit, late = index.store.commit, iter([True, True, False, False])

    async def late_twice(*changes: IdentityChange) -> Committed:
        if next(late):
            raise ConcurrentChange("somebody was faster")
        return await commit(*changes)

    monkeypatch.setattr(index.store, "commit", late_twice)
    async with index.mpi._enrollment.retrying._turn:
        (answer,) = await asyncio.wait_for(index.batch(submission(MARGA, "1")), 10)
    assert isinstance(answer, MatchAnswer)
    assert (answer.status, index.told["conflict"]) == ("created", 2)


async def test_a_batch_may_be_replayed(index: Index) -> None:
    rows: list[MatchAnswer | MpiError] = []
    for _ in range(2):
        rows = await index.batch(submission(MARGA, "1"), submission(OTTO, "2"))
    assert [row.event_id for row in rows if isinstance(row, MatchAnswer)] == [None, None]
    assert (await index.mpi.statistics())["events"] == 2


async def test_a_batch_of_queries_changes_nothing(index: Index) -> None:
    await index.batch(submission(MARGA, "1"), submission(OTTO, "2"), enroll=False)
    assert (await index.mpi.statistics())["events"] == 0


async def test_a_group_ends_with_its_time_so_that_others_can_write(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpi.service.index.LONGEST_GROUP_S", 0.0)
    rows = [submission(OTTO, str(number)) for number in range(4)]
    seen = []
    async with indexing(tmp_path) as elsewhere:
        async for answer in index.mpi.batch(rows, enroll=None, actor="ada"):
            assert isinstance(answer, MatchAnswer)
            await elsewhere.add(MARGA, f"other {answer.source_id}")
            seen.append((answer.source_id, (await elsewhere.mpi.statistics())["records"]))
    assert seen == [("0", 2), ("1", 4), ("2", 6), ("3", 8)]


async def test_rows_are_committed_together_in_groups_of_the_batch_size(
    index: Index, tmp_path: Path
) -> None:
    rows = [submission(OTTO, str(number)) for number in range(7)]
    async with indexing(tmp_path) as elsewhere:
        seen = [
            (await elsewhere.mpi.statistics())["records"]
            async for _ in index.mpi.batch(rows, enroll=None, actor="ada")
        ]
    assert seen == [3, 3, 3, 6, 6, 6, 7]
