"""An index for the tests of what the service means."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from bench.daemons import Mongod
from mpi.stores.mongodb.opening import Address
from tests.support.index import Index, indexing


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    """An empty one."""
    async with indexing(tmp_path) as made:
        yield made


@pytest.fixture
def address(mongod: Mongod) -> Iterator[Address]:
    """A database of the test's own."""
    name = f"test-{uuid.uuid4()}"
    yield Address(mongod.uri, name)
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client.drop_database(name)
