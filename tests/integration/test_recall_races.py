"""Questions and changes at the same time: one call for equal questions, and no answer from before a change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mpi.domain.identity import PersonState, StoredRecord
from mpi.errors import StoreUnavailable
from mpi.matching.blocking import BlockingKeys
from mpi.ports import Provider, Resolution
from tests.support.cache import Gate, kept, memory
from tests.support.index import MARGA, OTTO, Index, indexing, submission


@asynccontextmanager
async def gating(folder: Path, *, with_answer: bool) -> AsyncIterator[tuple[Index, Gate]]:
    gates: list[Gate] = []

    def put(provider: Provider) -> Provider:
        gates.append(Gate(provider, with_answer=with_answer))
        return gates[0]

    async with indexing(folder, cache=memory(), around=put) as index:
        yield index, gates[0]


@pytest.fixture
async def gated(tmp_path: Path) -> AsyncIterator[tuple[Index, Gate]]:
    async with gating(tmp_path, with_answer=False) as found:
        yield found


async def test_equal_questions_at_once_cause_one_call(gated: tuple[Index, Gate]) -> None:
    index, gate = gated
    gate.close()
    asking = [asyncio.create_task(index.ask(MARGA)) for _ in range(50)]
    other = asyncio.create_task(index.ask(OTTO))
    await gate.reached()
    await gate.reached()
    gate.open()
    answers = await asyncio.gather(*asking)
    await other
    assert gate.calls == 2
    assert {answer.status for answer in answers} == {"no_match"}


async def test_an_error_goes_to_all_who_wait_and_is_not_kept(gated: tuple[Index, Gate]) -> None:
    index, gate = gated
    gate.close()
    gate.error = StoreUnavailable("away")
    asking = [asyncio.create_task(index.ask(MARGA)) for _ in range(5)]
    await gate.reached()
    gate.open()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(error) for error in found] == [StoreUnavailable] * 5
    assert gate.calls == 1
    gate.error = None
    assert (await index.ask(MARGA)).served_from == "provider"
    assert gate.calls == 2


async def test_whoever_waits_asks_anew_when_the_first_one_goes_away(
    gated: tuple[Index, Gate],
) -> None:
    index, gate = gated
    gate.close()
    first = asyncio.create_task(index.ask(MARGA))
    await gate.reached()
    others = [asyncio.create_task(index.ask(MARGA)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    await gate.reached()
    gate.open()
    answers = await asyncio.gather(*others)
    assert [answer.status for answer in answers] == ["no_match"] * 3
    assert first.cancelled()
    assert gate.calls == 2


async def test_whoever_leaves_leaves_alone(gated: tuple[Index, Gate]) -> None:
    index, gate = gated
    gate.close()
    first = asyncio.create_task(index.ask(MARGA))
    await gate.reached()
    second = asyncio.create_task(index.ask(MARGA))
    await asyncio.sleep(0)
    second.cancel()
    gate.open()
    assert (await first).status == "no_match"
    assert gate.calls == 1


async def test_nobody_shares_an_answer_that_was_asked_for_before_a_change(tmp_path: Path) -> None:
    async with gating(tmp_path, with_answer=True) as (index, gate), indexing(tmp_path) as neighbour:
        gate.close()
        before = asyncio.create_task(index.ask(MARGA))
        await gate.reached()
        made = await neighbour.add(MARGA, "1")
        after = asyncio.create_task(index.ask(MARGA))
        await gate.reached()
        gate.open()
        assert (await before).status == "no_match"
        assert (await after).mpi_id == made.mpi_id


async def test_an_answer_computed_before_a_change_is_not_kept_after_it(tmp_path: Path) -> None:
    async with gating(tmp_path, with_answer=True) as (index, gate), indexing(tmp_path) as neighbour:
        gate.close()
        early = asyncio.create_task(index.ask(MARGA))
        await gate.reached()
        made = await neighbour.add(MARGA, "1")
        # Another question makes the cache notice the change before the early answer arrives.
        other = asyncio.create_task(index.ask(OTTO))
        await gate.reached()
        gate.open()
        assert (await early).status == "no_match"
        await other
        assert (await index.ask(MARGA)).mpi_id == made.mpi_id


async def test_a_registration_that_came_too_late_is_decided_again_and_counted(
    tmp_path: Path,
) -> None:
    async with gating(tmp_path, with_answer=True) as (index, gate), indexing(tmp_path) as neighbour:
        gate.close()
        late = asyncio.create_task(index.add(MARGA, "1"))
        await gate.reached()
        made = await neighbour.add(MARGA, "2")
        gate.open()
        assert (await late).mpi_id == made.mpi_id
        assert gate.calls == 2
        assert index.told["conflict"] == 1


@pytest.mark.parametrize("calls", [1, 2], ids=["new", "replayed"])
async def test_a_registration_with_explanation_is_decided_once(
    gated: tuple[Index, Gate], calls: int
) -> None:
    index, gate = gated
    await index.add(MARGA, "1")
    gate.calls = 0
    for _ in range(calls):
        answer = await index.mpi.resolve(submission(MARGA, "2"), explain=True, actor="ada")
        assert answer.explanation is not None
        assert {row.record for row in answer.explanation.rows if row.record} == {("lab", "1")}
    assert gate.calls == calls


class _Failing(Gate):
    """Cannot answer its third call."""

    async def resolve(
        self, record: StoredRecord, keys: BlockingKeys, home: PersonState | None = None
    ) -> Resolution:
        if self.calls == 2:
            self.error = StoreUnavailable("away")
        try:
            return await super().resolve(record, keys, home)
        finally:
            self.error = None


async def test_a_batch_that_is_given_up_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    """What its queries saw may never have happened; the next commit gets the numbers of its events."""
    async with indexing(tmp_path, cache=memory(), around=_Failing) as index:
        await kept(index, OTTO)
        with pytest.raises(StoreUnavailable):
            await index.batch(submission(MARGA, "1"), submission(OTTO), submission(OTTO, "9"))
        made = await index.add(OTTO, "2")
        assert (await index.ask(OTTO)).mpi_id == made.mpi_id
