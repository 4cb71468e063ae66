"""What every store of models must do."""

from __future__ import annotations

import asyncio

import pytest

from mpi.errors import ConcurrentChange, Conflict
from mpi.ports import ModelRole
from tests.contract.conftest import Store

DECIDE, SHADOW = ModelRole.DECIDE, ModelRole.SHADOW


async def test_a_model_is_kept_as_it_was_added(store: Store, other: Store) -> None:
    await store.add_model("a", b'{"first": 1}', "ada")
    await store.add_model("b", b"\x00" * 300_000, "ben")
    await store.add_model("a", b'{"first": 1}', "eve")
    assert await other.model("a") == b'{"first": 1}'
    assert await other.model("b") == b"\x00" * 300_000
    assert await other.model("c") is None
    found = await other.models()
    assert [(m.version, m.added_by) for m in found] == [("a", "ada"), ("b", "ben")]
    assert found[0].added_at <= found[1].added_at


async def test_a_version_names_one_document_for_ever(store: Store) -> None:
    await store.add_model("a", b"1", "ada")
    with pytest.raises(Conflict):
        await store.add_model("a", b"2", "ada")
    assert await store.model("a") == b"1"


async def test_activations_are_a_history(store: Store, other: Store) -> None:
    assert await store.last_activation() == 0
    assert await store.activations() == ()
    for version in "ab":
        await store.add_model(version, version.encode(), "ada")
    first = await store.activate_model(DECIDE, "a", actor="ada", reason="better", after=0)
    second = await other.activate_model(SHADOW, "b", actor="ben", reason="try", after=1)
    third = await store.activate_model(SHADOW, None, actor="ada", reason="done", after=2)
    assert (first.number, second.number, third.number) == (1, 2, 3)
    assert await other.last_activation() == 3
    found = await other.activations()
    assert [(a.number, a.role, a.version, a.actor, a.reason) for a in found] == [
        (1, DECIDE, "a", "ada", "better"),
        (2, SHADOW, "b", "ben", "try"),
        (3, SHADOW, None, "ada", "done"),
    ]


async def test_only_what_was_added_is_activated(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.activate_model(DECIDE, "a", actor="ada", reason="better", after=0)
    assert await store.last_activation() == 0


async def test_of_two_at_the_same_time_one_is_told(store: Store, other: Store) -> None:
    for version in "ab":
        await store.add_model(version, version.encode(), "ada")
    done = await asyncio.gather(
        store.activate_model(DECIDE, "a", actor="ada", reason="mine", after=0),
        other.activate_model(DECIDE, "b", actor="ben", reason="mine", after=0),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["Activation", "ConcurrentChange"]
    assert len(await store.activations()) == 1
    with pytest.raises(ConcurrentChange):
        await store.activate_model(DECIDE, "a", actor="ada", reason="again", after=0)
