"""Which records of an index a model is learned from."""

from __future__ import annotations

import pytest

from mpi.evaluation.training_data import Labels, records_named, records_of
from tests.support.index import MARGA, OTTO, Index, key

SOURCES = ("alpha", "beta", "gamma", "delta")


def silent(stage: str, done: int, total: int) -> None:
    """Nobody looks."""


@pytest.fixture
async def filled(index: Index) -> Index:
    """The same patient forty times at each of four sources."""
    for source in SOURCES:
        for number in range(40):
            await index.add(MARGA, str(number), source)
    return index


async def test_some_records_are_drawn_from_all_sources(filled: Index) -> None:
    some = await records_of(filled.store, 40, 1, silent)
    assert len(some) == 40
    assert {record.source for record in some} == set(SOURCES)
    assert list(some) == sorted(some)


async def test_a_seed_draws_the_same_records_again_and_another_others(filled: Index) -> None:
    one, again, other = [list(await records_of(filled.store, 40, s, silent)) for s in (1, 1, 2)]
    assert one == again
    assert one != other


async def test_all_records_are_read_where_there_are_no_more(filled: Index) -> None:
    for most in (160, 161):
        assert len(await records_of(filled.store, most, 1, silent)) == 160


async def test_of_labels_every_active_record_is_read_and_no_other(filled: Index) -> None:
    await filled.add(OTTO, "gone", "zeta")
    await filled.mpi.delete_record(key("gone", "zeta"), actor="ada")
    labels: Labels = {
        (key("1", "alpha"), key("39", "gamma")): True,
        (key("1", "alpha"), key("gone", "zeta")): False,
        (key("never", "eta"), key("2", "beta")): False,
    }
    found = await records_named(filled.store, labels, silent)
    assert set(found) == {key("1", "alpha"), key("39", "gamma"), key("2", "beta")}
