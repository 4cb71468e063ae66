"""Where the index of a service may be."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from bench.daemons import Mongod
from tests.support.service import EMBEDDED, Profile, on_mongodb


@pytest.fixture(params=["embedded", "mongodb"])
def profile(request: pytest.FixtureRequest) -> Profile:
    """Either store."""
    if request.param == "embedded":
        return EMBEDDED
    found: Profile = request.getfixturevalue("on_server")
    return found


@pytest.fixture
def on_server(mongod: Mongod, database: str) -> Profile:
    """An index in MongoDB."""
    return on_mongodb(mongod.uri, database)


@pytest.fixture
def database(mongod: Mongod) -> Iterator[str]:
    """The name of a database of the test's own."""
    name = f"test-{uuid.uuid4()}"
    yield name
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client.drop_database(name)
