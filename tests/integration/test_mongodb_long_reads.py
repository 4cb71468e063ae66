"""A read takes as long as it takes, also longer than MongoDB keeps the snapshot in which it began."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from threading import Thread
from time import sleep
from typing import Any

import pytest
from pymongo import MongoClient

from bench.daemons import Mongod
from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.record import RecordKey
from mpi.errors import StoreUnavailable
from mpi.stores.mongodb.long_read import long_read
from mpi.stores.mongodb.opening import Address, client_for, database_of
from mpi.stores.mongodb.store import MongoStore
from tests.contract.changes import change, create, created, key, not_same

_KEPT = 1
"""Seconds for which the server keeps a snapshot."""
_RECORDS = 7


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A server that keeps no snapshot for long."""
    kept = ("--setParameter", f"minSnapshotHistoryWindowInSeconds={_KEPT}")
    server = Mongod(tmp_path_factory.mktemp("forgetful"), *kept)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def address(forgetful: Mongod, monkeypatch: pytest.MonkeyPatch) -> Address:
    """A database from which two documents are read at once."""
    monkeypatch.setattr("mpi.stores.mongodb.long_read._ROWS", 2)
    return Address(forgetful.uri, f"test-{uuid.uuid4()}")


@pytest.fixture
async def store(address: Address) -> AsyncIterator[MongoStore]:
    """A few records of one person each, something in every collection."""
    store = MongoStore(address)
    await store.open(b"fingerprint")
    for number in range(_RECORDS):
        await created(store, str(number), number)
    await store.commit(change(record=create("1", 9, family="JONES").record))
    await store.commit(change(assertions=(not_same("1", "3"),)))
    await store.queue([Errand(ErrandKind.POST, (key(str(n)),)) for n in range(_RECORDS)])
    yield store
    await store.close()


def outlive_snapshots(address: Address) -> None:
    """Until no snapshot is kept that is there now. What it writes lies beside the index."""
    with MongoClient[dict[str, Any]](address.uri) as client:
        for _ in range(5):
            client["elsewhere"]["noise"].insert_one({})
            sleep(_KEPT / 2)


def write_elsewhere(address: Address, source_id: str) -> None:
    """Register a record as another process does."""

    async def write() -> None:
        other = MongoStore(address)
        await created(other, source_id, 1000)
        await other.close()

    writer = Thread(target=lambda: asyncio.run(write()))
    writer.start()
    writer.join()


async def test_verify_outlives_its_snapshots(store: MongoStore, address: Address) -> None:
    def slowly(name: str, _number: int, _all: int) -> None:
        if name in {"events", "records", "errands"}:
            outlive_snapshots(address)

    assert await store.verify(slowly) == []


async def test_what_outlives_its_snapshots_finds_what_is_broken(
    store: MongoStore, address: Address
) -> None:
    with MongoClient[dict[str, Any]](address.uri) as client:
        client[address.database]["record"].delete_one({"_id": 3})

    def slowly(name: str, _number: int, _all: int) -> None:
        if name == "records":
            outlive_snapshots(address)

    assert "empty_person" in {violation.code for violation in await store.verify(slowly)}


async def test_verify_tells_of_a_change_and_not_of_violations(
    store: MongoStore, address: Address
) -> None:
    def slowly(name: str, _number: int, _all: int) -> None:
        if name == "records":
            write_elsewhere(address, "9")
            outlive_snapshots(address)

    with pytest.raises(StoreUnavailable, match=r"the index changed .*setParameter") as refused:
        await store.verify(slowly)
    assert "\n" not in refused.value.detail
    assert await store.verify() == []


async def test_an_export_outlives_its_snapshots(store: MongoStore, address: Address) -> None:
    whole = [row async for row in store.crosswalk()]
    slowly = []
    async for row in store.crosswalk():
        slowly.append(row)
        if len(slowly) in {1, 4}:
            outlive_snapshots(address)
    assert slowly == whole
    assert [found for found, _ in slowly] == [key(str(n)) for n in range(_RECORDS)]


async def test_an_export_never_mixes_two_states_of_the_index(
    store: MongoStore, address: Address
) -> None:
    exported: list[RecordKey] = []

    async def export() -> None:
        async for found, _ in store.crosswalk():
            exported.append(found)
            if len(exported) == 1:
                await created(store, "9", 9)
                outlive_snapshots(address)

    with pytest.raises(StoreUnavailable, match="the index changed"):
        await export()
    assert exported == [key("0"), key("1")]


async def test_an_export_shows_nothing_new_while_its_snapshot_lasts(store: MongoStore) -> None:
    exported: list[RecordKey] = []
    async for found, _ in store.crosswalk():
        exported.append(found)
        if len(exported) == 1:
            await created(store, "9", 9)
    assert exported == [key(str(n)) for n in range(_RECORDS)]


async def test_errands_that_are_done_meanwhile_disturb_no_read(
    store: MongoStore, address: Address
) -> None:
    """Records are looked for in the same read while errands are read, and take a new snapshot before them."""
    found, looked_for = [], []
    async with (
        client_for(address) as client,
        long_read(client, database_of(client, address.database)) as read,
    ):
        async for errand in read.documents("errand"):
            found.append(errand["_id"])
            if len(found) == 2:
                for leased in await store.due(timedelta(minutes=1), 2):
                    await store.done(leased)
                outlive_snapshots(address)
            looked_for += [record["_id"] async for record in read.documents("record", {"_id": 1})]
    assert len(set(found)) == len(found) == _RECORDS
    assert looked_for == [1] * _RECORDS
