"""A model that cannot be read decides nothing, and stops nobody unless it is the one that has to decide."""

from __future__ import annotations

import asyncio
from pathlib import Path
from secrets import token_hex

import pytest

from bench.daemons import Mongod
from mpi.errors import InvalidInput, SchemaMismatch
from mpi.matching.model import default_document, load_default_model
from mpi.ports import ModelRole
from mpi.service.model_follower import ModelFollower
from mpi.service.models import with_thresholds
from mpi.stores.mongodb.opening import Address
from mpi.stores.mongodb.store import MongoStore
from mpi.stores.sqlite.store import open_store


async def test_an_unreadable_model_stops_only_whom_it_decides_for(tmp_path: Path) -> None:
    store = open_store(tmp_path / "index.sqlite3", b"fingerprint")
    documents = {
        "mine": with_thresholds(default_document(), "mine", "", link=12.0, review=4.0),
        "newer": b'{"of": "another version of the service"}',
    }
    for version, document in documents.items():
        await store.add_model(version, document, "ann")
    given = [
        (ModelRole.SHADOW, "newer"),
        (ModelRole.DECIDE, "mine"),
        (ModelRole.DECIDE, "newer"),
    ]
    follower = ModelFollower(store, load_default_model())
    try:
        for number, (role, version) in enumerate(given[:2]):
            await store.activate_model(role, version, actor="ann", reason="new", after=number)
        await follower.look()
        assert (follower.deciding().version, follower.shadow()) == ("mine", None)
        await store.activate_model(*given[2], actor="ann", reason="new", after=2)
        with pytest.raises(InvalidInput):
            await follower.look()
        assert follower.deciding().version == "mine"
    finally:
        store.close()


async def test_a_defect_is_told_and_ends_no_following(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpi.service.model_follower.PAUSE", 0.01)
    store = open_store(tmp_path / "index.sqlite3", b"fingerprint")
    follower = ModelFollower(store, load_default_model())
    mine = with_thresholds(default_document(), "mine", "", link=12.0, review=4.0)

    async def broken() -> int:
        raise ZeroDivisionError

    try:
        await follower.open()
        await follower.check()
        with monkeypatch.context() as patched:
            patched.setattr(store, "last_activation", broken)
            assert await becomes(follower, ready=False)
            await store.add_model("mine", mine, "ann")
            await store.activate_model(ModelRole.DECIDE, "mine", actor="ann", reason="new", after=0)
        assert await becomes(follower, ready=True)
        assert follower.deciding().version == "mine"
    finally:
        await follower.close()
        store.close()


async def test_it_ends_at_whatever_moment_it_is_told_to(
    mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver loses a cancellation at one of the steps of a question."""
    monkeypatch.setattr("mpi.service.model_follower.PAUSE", 0.0)
    address = Address(mongod.uri, f"follower_{token_hex(4)}")
    store = MongoStore(address)
    await store.open(b"fingerprint")
    try:
        for steps in range(25):
            follower = ModelFollower(store, load_default_model())
            await follower.open()
            for _ in range(steps):
                await asyncio.sleep(0)
            async with asyncio.timeout(5):
                await follower.close()
    finally:
        await store.close()


async def becomes(follower: ModelFollower, *, ready: bool) -> bool:
    """Whether readiness is that within a few seconds."""
    for _ in range(1_000):
        if await is_ready(follower) is ready:
            return True
        await asyncio.sleep(0.01)
    return False


async def is_ready(follower: ModelFollower) -> bool:
    try:
        await follower.check()
    except SchemaMismatch:
        return False
    return True
