"""What merging and moving mean."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mpi.domain.identity import NEW_PERSON, PersonState
from mpi.errors import Conflict, Gone, NotFound, PreconditionFailed
from mpi.service.answers import MatchAnswer
from mpi.stores.sqlite.verify import verify_store
from tests.support.index import (
    MARGA,
    OTTO,
    Index,
    indexing,
    key,
)
from tests.support.stewards import BECAUSE, two_persons


async def test_a_merge_makes_the_other_id_an_alias(index: Index) -> None:
    one, other = await two_persons(index)
    merged = await index.stewards.merge(other, one, **BECAUSE)
    assert merged.retired == (one,)
    assert await index.partition() == {"1": other, "2": other}
    assert (await index.mpi.person(one)).mpi_id == other


async def test_a_person_is_not_merged_with_itself_or_its_alias(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.merge(one, other, **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.merge(one, other, **BECAUSE)


async def test_a_merge_needs_persons_that_live(index: Index) -> None:
    one, other = await two_persons(index)
    with pytest.raises(NotFound):
        await index.stewards.merge(one, "MPI-000000000", **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="ada")
    with pytest.raises(Gone):
        await index.stewards.merge(one, other, **BECAUSE)


async def test_a_record_moves_to_another_person(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.move(key("2"), one, **BECAUSE)
    assert await index.partition() == {"1": one, "2": one}
    assert (await index.mpi.person(other)).mpi_id == one


async def test_a_record_moves_into_a_person_of_its_own(index: Index) -> None:
    one = (await index.add(MARGA, "1")).mpi_id
    await index.add(MARGA, "2")
    moved = await index.stewards.move(key("2"), NEW_PERSON, **BECAUSE)
    assert await index.partition() == {"1": one, "2": moved.mpi_id}


async def test_a_move_that_moves_nothing_is_refused(index: Index) -> None:
    one, _ = await two_persons(index)
    with pytest.raises(Conflict):
        await index.stewards.move(key("1"), one, **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.move(key("1"), NEW_PERSON, **BECAUSE)
    with pytest.raises(NotFound):
        await index.stewards.move(key("9"), one, **BECAUSE)


async def test_decisions_and_registrations_at_once_leave_a_whole_index(
    index: Index, tmp_path: Path
) -> None:
    one, other = await two_persons(index)
    async with indexing(tmp_path) as elsewhere:

        async def decide() -> None:
            for _ in range(5):
                merged = await index.stewards.merge(one, other, override=True, **BECAUSE)
                await asyncio.sleep(0)
                await index.stewards.undo(merged.event_id or "", **BECAUSE)

        async def register(into: Index, patient: dict[str, str]) -> None:
            for number in range(10):
                phone = f"302-555-01{number:02}"
                await into.add({**patient, "phone": phone}, f"{patient['ssn']}-{number}")

        await asyncio.gather(decide(), register(elsewhere, OTTO), register(elsewhere, MARGA))
    assert verify_store(tmp_path / "index.sqlite3") == []
    held = await index.partition()
    assert len(held) == 22
    assert (held["1"], held["2"]) == (one, other)


async def test_nobody_comes_between_the_look_and_the_decision(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await two_persons(index)
    look = index.store.person
    async with indexing(tmp_path) as elsewhere:
        racing: list[asyncio.Task[MatchAnswer]] = []

        async def interrupted(mpi_id: str) -> PersonState | None:
            if not racing:
                racing.append(asyncio.create_task(elsewhere.add(OTTO, "3")))
                await asyncio.sleep(0.05)
            return await look(mpi_id)

        monkeypatch.setattr(index.store, "person", interrupted)
        await index.stewards.merge(one, other, **BECAUSE)
        late = await racing[0]
    assert late.mpi_id == one
    assert await index.partition() == {"1": one, "2": one, "3": one}


async def test_a_number_that_is_replaced_leaves_one_registration(index: Index) -> None:
    one, other = await two_persons(index)
    done = await index.stewards.replace_number(key("2"), "1", **BECAUSE)
    assert (done.mpi_id, done.retired) == (one, (other,))
    assert await index.partition() == {"1": one}
    assert (await index.mpi.person(other)).mpi_id == one
    with pytest.raises(Gone):
        await index.mpi.get_record(key("2"))
    with pytest.raises(Conflict):
        await index.stewards.replace_number(key("1"), "1", **BECAUSE)


async def test_a_number_is_replaced_only_as_long_as_nothing_about_its_person_has_changed(
    index: Index,
) -> None:
    one, other = await two_persons(index)
    version = (await index.mpi.get_record(key("2"))).person_version
    assert version is not None
    with pytest.raises(PreconditionFailed):
        await index.stewards.replace_number(key("2"), "1", if_match=version + 1, **BECAUSE)
    assert await index.partition() == {"1": one, "2": other}
    await index.stewards.replace_number(key("2"), "1", if_match=version, **BECAUSE)
    assert await index.partition() == {"1": one}


async def test_a_number_is_not_replaced_by_that_of_another_patient(index: Index) -> None:
    await two_persons(index)
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.replace_number(key("2"), "1", **BECAUSE)
    assert (await index.mpi.get_record(key("2"))).status == "active"
