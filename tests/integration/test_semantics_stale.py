"""What a stale screen may not do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from mpi.domain.identity import ANY_VERSION, StoredRecord, TaskStatus
from mpi.domain.record import RecordKey
from mpi.errors import Conflict, PreconditionFailed
from tests.support.index import (
    MARGA,
    Index,
    indexing,
    key,
    submission,
)
from tests.support.stewards import BECAUSE, doubtful, two_persons


async def test_the_version_of_a_record_is_that_of_its_person(index: Index) -> None:
    made = await index.add(MARGA, "1")
    seen = (await index.mpi.get_record(key("1"))).person_version
    assert seen == (await index.mpi.person(made.mpi_id or "")).version
    await index.add(MARGA, "2")
    assert (await index.mpi.get_record(key("1"))).person_version != seen


async def test_whatever_happened_to_the_person_stops_an_update_and_a_deletion(
    index: Index,
) -> None:
    await index.add(MARGA, "1")
    seen = (await index.mpi.get_record(key("1"))).person_version
    await index.add(MARGA, "2")
    change = submission({**MARGA, "phone": "302-555-0199"}, "1")
    with pytest.raises(PreconditionFailed):
        await index.mpi.resolve(change, actor="ada", if_match=seen)
    with pytest.raises(PreconditionFailed):
        await index.mpi.delete_record(key("1"), actor="ada", if_match=seen)
    now = (await index.mpi.get_record(key("1"))).person_version
    assert (await index.mpi.resolve(change, actor="ada", if_match=now)).event_id
    now = (await index.mpi.get_record(key("1"))).person_version
    assert (await index.mpi.delete_record(key("1"), actor="ada", if_match=now)).event_id


@pytest.mark.parametrize("insisted", [1, ANY_VERSION])
async def test_if_match_on_a_record_that_nobody_has_fails(index: Index, insisted: int) -> None:
    with pytest.raises(PreconditionFailed):
        await index.mpi.resolve(submission(MARGA, "1"), actor="ada", if_match=insisted)
    await index.add(MARGA, "1")
    await index.mpi.delete_record(key("1"), actor="ada")
    with pytest.raises(PreconditionFailed):
        await index.mpi.resolve(submission(MARGA, "1"), actor="ada", if_match=insisted)


async def test_creating_only_fails_where_somebody_has_the_record(index: Index) -> None:
    first = submission(MARGA, "1")
    assert (await index.mpi.resolve(first, actor="ada", create_only=True)).event_id
    with pytest.raises(PreconditionFailed):
        await index.mpi.resolve(first, actor="ada", create_only=True)
    await index.mpi.delete_record(key("1"), actor="ada")
    assert (await index.mpi.resolve(first, actor="ada", create_only=True)).event_id


async def test_a_stale_undo_changes_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(one, other, **BECAUSE)
    seen = (await index.mpi.person(one)).version
    await index.add(MARGA, "3")
    with pytest.raises(PreconditionFailed):
        await index.stewards.undo(merged.event_id or "", if_match=seen, **BECAUSE)
    assert await index.owner("2") == one
    now = await index.mpi.person_version(other)
    assert (await index.stewards.undo(merged.event_id or "", if_match=now, **BECAUSE)).event_id


async def test_a_stale_screen_changes_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    with pytest.raises(PreconditionFailed):
        await index.stewards.merge(one, other, if_match=99, **BECAUSE)
    with pytest.raises(PreconditionFailed):
        await index.stewards.move(key("2"), one, if_match=99, **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    version = (await index.mpi.person(one)).version
    assert (await index.stewards.merge(one, other, if_match=version, **BECAUSE)).event_id


async def test_of_two_who_claim_a_task_at_once_one_is_told_of_the_other(
    index: Index, tmp_path: Path
) -> None:
    *_, task = await doubtful(index)
    async with indexing(tmp_path) as elsewhere:
        claims = [
            each.stewards.claim(task, actor=name)
            for each, name in ((index, "eve"), (index, "ann"), (elsewhere, "bob"))
        ]
        found = await asyncio.gather(*claims, return_exceptions=True)
    assert [type(each) for each in found if isinstance(each, Exception)] == [Conflict] * 2


async def test_a_stale_task_is_neither_claimed_nor_decided_nor_put_off(index: Index) -> None:
    *_, task = await doubtful(index)
    with pytest.raises(PreconditionFailed):
        await index.stewards.claim(task, actor="eve", if_match=99)
    with pytest.raises(PreconditionFailed):
        await index.stewards.decide(task, "same", if_match=99, **BECAUSE)
    with pytest.raises(PreconditionFailed):
        await index.stewards.reassign(task, "ann", if_match=99, **BECAUSE)
    tomorrow = index.clock.now + timedelta(days=1)
    with pytest.raises(PreconditionFailed):
        await index.stewards.defer(task, tomorrow, if_match=99, **BECAUSE)
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN


@pytest.mark.parametrize("recorded", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"])
async def test_a_change_between_the_look_and_the_commit_is_seen(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: str
) -> None:
    await index.add(MARGA, "1", recorded="2025-01-01T00:00:00Z")
    seen = (await index.mpi.get_record(key("1"))).person_version
    look = index.store.versions
    async with indexing(tmp_path) as elsewhere:

        async def interrupted(of: RecordKey) -> tuple[StoredRecord, ...]:
            await elsewhere.add(MARGA, "2")
            return await look(of)

        monkeypatch.setattr(index.store, "versions", interrupted)
        change = submission({**MARGA, "phone": "302-555-0199"}, "1", recorded=recorded)
        with pytest.raises(PreconditionFailed):
            await index.mpi.resolve(change, actor="ada", if_match=seen)
    assert len(await look(key("1"))) == 1
