"""What merging and moving mean."""

from __future__ import annotations

import pytest

from mpi.domain.identity import NEW_PERSON
from mpi.errors import Conflict, Gone, NotFound
from tests.support.index import (
    MARGA,
    Index,
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
