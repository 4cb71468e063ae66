"""What a stale screen may not do."""

from __future__ import annotations

import pytest

from mpi.domain.identity import TaskStatus
from mpi.errors import PreconditionFailed
from tests.support.index import (
    MARGA,
    Index,
    key,
    submission,
)
from tests.support.stewards import BECAUSE, doubtful, two_persons


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


async def test_a_stale_screen_changes_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    with pytest.raises(PreconditionFailed):
        await index.stewards.merge(one, other, if_match=99, **BECAUSE)
    with pytest.raises(PreconditionFailed):
        await index.stewards.move(key("2"), one, if_match=99, **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    version = (await index.mpi.person(one)).version
    assert (await index.stewards.merge(one, other, if_match=version, **BECAUSE)).event_id


async def test_a_stale_task_is_neither_claimed_nor_decided(index: Index) -> None:
    *_, task = await doubtful(index)
    with pytest.raises(PreconditionFailed):
        await index.stewards.claim(task, actor="eve", if_match=99)
    with pytest.raises(PreconditionFailed):
        await index.stewards.decide(task, "same", if_match=99, **BECAUSE)
    assert (await index.stewards.task(task)).status is TaskStatus.OPEN
