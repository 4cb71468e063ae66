"""What the health pages of a running service say when the ground shakes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mpi.stores.sqlite.schema import SCHEMA_VERSION
from tests.support.service import Service, running

PATIENT = {"first_name": "Ada", "last_name": "Byron", "dob": "1915-12-10", "ssn": "424-19-7908"}
REGISTRATION = {"patient_data": PATIENT, "source": "A", "source_id": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("health")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with running(folder) as service:
        yield service


@pytest.fixture
def database(folder: Path) -> Path:
    return folder / "data" / "mpi" / "mpi.sqlite3"


def ready(service: Service) -> tuple[int, Any]:
    answer = httpx2.get(f"{service.url}/health/ready", timeout=5)
    assert (answer.status_code == 503) == ("retry-after" in answer.headers)
    return answer.status_code, answer.json()


def failing(body: Any) -> set[str]:
    return {name for name, part in body["parts"].items() if part["status"] == "failing"}


def test_readiness_names_every_part_with_its_latency(service: Service) -> None:
    status, body = ready(service)
    assert (status, body["status"]) == (200, "ok")
    assert body["parts"].keys() == {"store", "schema", "key", "model", "shadow"}
    for name, part in body["parts"].items():
        assert part["critical"] == (name != "shadow")
        assert 0 < part["latency_ms"] < 1000


def test_a_database_that_was_moved_away_is_not_written_to(service: Service, database: Path) -> None:
    hidden = database.with_name("hidden")
    database.rename(hidden)
    status, body = ready(service)
    assert (status, body["code"], failing(body)) == (503, "store_unavailable", {"store"})
    refused = httpx2.post(f"{service.url}/mpi/match", json=REGISTRATION)
    assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert httpx2.get(f"{service.url}/health/live").status_code == 200
    hidden.rename(database)
    assert ready(service)[0] == 200
    assert httpx2.post(f"{service.url}/mpi/match", json=REGISTRATION).status_code == 200


def test_a_writer_that_keeps_the_lock_leaves_the_service_ready_for_questions(
    service: Service, database: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as rival:
        rival.execute("BEGIN IMMEDIATE")
        assert ready(service)[0] == 200
        question = {"patient_data": PATIENT, "enroll": False, "explain": True}
        assert httpx2.post(f"{service.url}/mpi/match", json=question).status_code == 200
        rival.execute("ROLLBACK")


def test_a_schema_of_another_version_makes_the_service_unready(
    service: Service, database: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        try:
            status, body = ready(service)
        finally:
            newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    assert (status, body["code"], failing(body)) == (503, "schema_mismatch", {"schema"})
    assert ready(service)[0] == 200


def test_a_database_made_with_another_key_makes_the_service_unready(
    service: Service, database: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        ((known,),) = other.execute("SELECT value FROM meta WHERE name = 'hmac_fingerprint'")
        statement = "UPDATE meta SET value = ? WHERE name = 'hmac_fingerprint'"
        other.execute(statement, (bytes(16),))
        status, body = ready(service)
        other.execute(statement, (known,))
    assert (status, body["code"], failing(body)) == (503, "key_mismatch", {"key"})
    assert known.hex() not in str(body)
    assert ready(service)[0] == 200
