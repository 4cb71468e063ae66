"""The stores that have to keep the contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from mpi.ports import IdentityHistory, IdentityStore, KeyStore, Monitored
from mpi.stores.sqlite import SqliteStore, open_store

FINGERPRINT = b"fingerprint"
"""Of the HMAC key with which every index is made."""


class Store(IdentityStore, IdentityHistory, KeyStore, Monitored, Protocol):
    """Everything that a store of identities can do."""


class Index(Protocol):
    """One database, however many instances have it open."""

    def open(self, *, block_limit: int = 500) -> Store: ...


class SqliteIndex:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: list[SqliteStore] = []

    def open(self, *, block_limit: int = 500) -> SqliteStore:
        store = open_store(self._path, FINGERPRINT, block_limit=block_limit)
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture(params=["sqlite"])
def index(tmp_path: Path) -> Iterator[Index]:
    index = SqliteIndex(tmp_path / "index.sqlite3")
    yield index
    index.close()


@pytest.fixture
def store(index: Index) -> Store:
    return index.open()


@pytest.fixture
def other(store: Store, index: Index) -> Store:
    """Another instance of the same index, as a second process has it."""
    return index.open()
