"""The stores that have to keep the contract."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest
from pymongo import MongoClient

from bench.daemons import Mongod
from mpi.ports import (
    CallLedger,
    IdentityHistory,
    IdentityStore,
    KeyStore,
    ModelStore,
    Monitored,
    Outbox,
    TaskQueue,
)
from mpi.stores.mongodb.opening import Address
from mpi.stores.mongodb.store import MongoStore
from mpi.stores.sqlite.store import open_store

FINGERPRINT = b"fingerprint"
"""Of the HMAC key with which every index is made."""


class Store(
    IdentityStore,
    IdentityHistory,
    TaskQueue,
    Outbox,
    CallLedger,
    KeyStore,
    ModelStore,
    Monitored,
    Protocol,
):
    """Everything that a store of identities can do."""


class Index(Protocol):
    """One database, however many instances have it open."""

    async def open(self, *, block_limit: int = 500) -> Store: ...


class SqliteIndex:
    def __init__(self, path: Path, opened: AsyncExitStack) -> None:
        self._path = path
        self._opened = opened

    async def open(self, *, block_limit: int = 500) -> Store:
        store = open_store(self._path, FINGERPRINT, block_limit=block_limit)
        self._opened.callback(store.close)
        return store


class MongoIndex:
    def __init__(self, address: Address, opened: AsyncExitStack) -> None:
        self._address = address
        self._opened = opened

    async def open(self, *, block_limit: int = 500) -> Store:
        store = MongoStore(self._address, block_limit=block_limit)
        self._opened.push_async_callback(store.close)
        await store.open(FINGERPRINT)
        return store


@pytest.fixture(params=["sqlite", "mongodb"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    async with AsyncExitStack() as opened:
        if request.param == "sqlite":
            yield SqliteIndex(tmp_path / "index.sqlite3", opened)
        else:
            yield MongoIndex(request.getfixturevalue("address"), opened)


@pytest.fixture
def address(mongod: Mongod) -> Iterator[Address]:
    """A database of the test's own."""
    name = f"test-{uuid.uuid4()}"
    yield Address(mongod.uri, name)
    with MongoClient[dict[str, object]](mongod.uri) as client:
        client.drop_database(name)


@pytest.fixture
async def store(index: Index) -> Store:
    return await index.open()


@pytest.fixture
async def other(store: Store, index: Index) -> Store:
    """Another instance of the same index, as a second process has it."""
    return await index.open()
