"""What *same* and *not the same* mean."""

from __future__ import annotations

import pytest

from mpi.domain.identity import AssertionKind
from mpi.errors import Conflict, Gone, NotFound
from tests.support.index import (
    MARGA,
    OTTO,
    Index,
    key,
)
from tests.support.stewards import BECAUSE, kinds, two_persons


async def test_a_merge_against_an_assertion_names_it_and_changes_nothing(index: Index) -> None:
    one, other = await two_persons(index)
    stated = await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.merge(one, other, **BECAUSE)
    assert refused.value.extra == {"assertions": [stated.event_id]}
    assert await index.partition() == {"1": one, "2": other}


async def test_an_override_lifts_the_assertion(index: Index) -> None:
    one, other = await two_persons(index)
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    await index.stewards.merge(one, other, override=True, **BECAUSE)
    assert await kinds(index, "1") == []
    assert set((await index.partition()).values()) == {one}


async def test_not_same_holds_through_a_chain_of_merges(index: Index) -> None:
    one, other = await two_persons(index)
    third = await index.add({"last_name": "Okonkwo", "first_name": "Ifeoma"}, "3")
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    await index.stewards.merge(third.mpi_id or "", one, **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.merge(third.mpi_id or "", other, **BECAUSE)


async def test_same_and_not_same_of_one_pair_contradict(index: Index) -> None:
    await two_persons(index)
    stated = await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict) as refused:
        await index.stewards.assert_pair("not-same", key("2"), key("1"), **BECAUSE)
    assert refused.value.extra == {"assertions": [stated.event_id]}
    await index.stewards.assert_pair("not-same", key("2"), key("1"), override=True, **BECAUSE)
    assert await kinds(index, "1") == [AssertionKind.NOT_SAME]
    assert await index.owner("1") != await index.owner("2")


async def test_same_merges_the_persons_and_the_older_id_survives(index: Index) -> None:
    one, _ = await two_persons(index)
    await index.stewards.assert_pair("same", key("2"), key("1"), **BECAUSE)
    assert await index.partition() == {"1": one, "2": one}


async def test_same_within_one_person_is_only_noted(index: Index) -> None:
    one = (await index.add(MARGA, "1")).mpi_id
    await index.add(MARGA, "2")
    await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    assert await kinds(index, "1") == [AssertionKind.SAME]
    assert await index.partition() == {"1": one, "2": one}


async def test_an_assertion_needs_two_known_records(index: Index) -> None:
    await two_persons(index)
    with pytest.raises(Conflict):
        await index.stewards.assert_pair("same", key("1"), key("1"), **BECAUSE)
    with pytest.raises(NotFound):
        await index.stewards.assert_pair("same", key("1"), key("9"), **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="ada")
    with pytest.raises(Gone):
        await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)


async def test_not_same_takes_the_record_out_and_blocks_the_automatic_link(index: Index) -> None:
    one = (await index.add(MARGA, "1")).mpi_id
    await index.add(MARGA, "2")
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    assert await index.owner("2") != one
    await index.mpi.delete_record(key("2"), actor="ada")
    revived = await index.add({**MARGA, "phone": "302-555-0199"}, "2")
    assert revived.mpi_id != one
    assert "not_same_assertion" in revived.candidates[0].vetoes


async def test_same_links_what_the_model_would_not(index: Index) -> None:
    one, _ = await two_persons(index)
    await index.stewards.assert_pair("same", key("1"), key("2"), **BECAUSE)
    await index.mpi.delete_record(key("2"), actor="ada")
    revived = await index.add({**OTTO, "address": MARGA["address"], "zip": MARGA["zip"],
                               "dob": MARGA["dob"]}, "2")  # fmt: skip
    assert revived.mpi_id == one


async def test_a_move_against_an_assertion_is_refused(index: Index) -> None:
    one, _ = await two_persons(index)
    await index.stewards.assert_pair("not-same", key("1"), key("2"), **BECAUSE)
    with pytest.raises(Conflict):
        await index.stewards.move(key("2"), one, **BECAUSE)
    await index.stewards.move(key("2"), one, override=True, **BECAUSE)
    assert await index.owner("2") == one
