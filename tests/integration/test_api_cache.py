"""The cache as clients see it, and the metrics that tell of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api, serving

JOHN = {"ssn": "412-55-7813", "first_name": "John", "last_name": "Smith", "dob": "1980-01-01"}
QUERY = {"patient_data": JOHN, "enroll": False}
OWN = {"request_id", "processing_time_ms", "served_from"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as made:
        yield made


async def ask(api: Api, **members: Any) -> dict[str, Any]:
    response = await api.client.post("/mpi/match", json=QUERY | members)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    found: dict[str, Any] = response.json()
    assert found["request_id"] == response.headers["x-request-id"]
    return found


async def test_an_answer_from_memory_has_the_same_members_and_its_own_request_id(api: Api) -> None:
    await api.client.post(
        "/mpi/match", json={"patient_data": JOHN, "source": "A", "source_id": "1"}
    )
    first, again = await ask(api), await ask(api)
    assert (first["served_from"], again["served_from"]) == ("provider", "memory")
    assert first["request_id"] != again["request_id"]
    assert first.keys() == again.keys()
    assert {k: v for k, v in first.items() if k not in OWN} == {
        k: v for k, v in again.items() if k not in OWN
    }
    assert isinstance(again["processing_time_ms"], float)


async def test_unknown_fields_are_reported_from_memory_too(api: Api) -> None:
    first, again = await ask(api, shoe_size=44), await ask(api, shoe_size=44)
    assert again["served_from"] == "memory"
    assert (
        again["warnings"] == first["warnings"] == [{"field": "shoe_size", "code": "unknown_field"}]
    )


async def test_explanations_and_registrations_are_never_served_from_memory(api: Api) -> None:
    for members in ({"explain": True}, {"enroll": True, "source": "A", "source_id": "1"}):
        for _ in range(3):
            assert (await ask(api, **members))["served_from"] == "provider"


async def test_a_registration_is_seen_by_the_next_query(api: Api) -> None:
    for _ in range(2):
        assert (await ask(api))["status"] == "no_match"
    made = await ask(api, enroll=True, source="A", source_id="1")
    assert (await ask(api))["mpi_id"] == made["mpi_id"]


async def test_whoever_may_not_read_gets_nothing_from_memory(api: Api) -> None:
    _, reader = await api.parts.access.issue("reader", ["read"])
    _, writer = await api.parts.access.issue("writer", ["submit"])
    found = [
        await api.client.post("/mpi/match", json=QUERY, headers={"x-api-key": secret})
        for secret in (reader, reader, writer, "mpi_none")
    ]
    assert [response.status_code for response in found] == [200, 200, 403, 401]
    assert found[1].json()["served_from"] == "memory"
    assert "mpi_id" not in found[2].text


async def test_hits_and_misses_are_counted_by_tier_and_answers_by_status(api: Api) -> None:
    for _ in range(3):
        await ask(api)
    text = (await api.client.get("/metrics")).text
    assert 'mpi_cache_misses_total{tier="memory"} 1.0' in text
    assert 'mpi_cache_hits_total{tier="memory"} 2.0' in text
    assert 'mpi_decisions_total{status="no_match"} 3.0' in text
    assert 'mpi_requests_total{method="POST",status="200"} 3.0' in text


async def test_without_a_cache_every_query_reaches_the_provider(tmp_path: Path) -> None:
    async with serving(tmp_path, MPI_CACHE="") as api:
        for _ in range(2):
            assert (await ask(api))["served_from"] == "provider"
        assert "mpi_cache_hits_total{" not in (await api.client.get("/metrics")).text


async def test_the_cache_ends_an_answer_after_its_time(tmp_path: Path) -> None:
    async with serving(tmp_path, CACHE_TTL="0.000001") as api:
        for _ in range(2):
            assert (await ask(api))["served_from"] == "provider"


async def test_a_cache_too_small_for_an_answer_keeps_none(tmp_path: Path) -> None:
    async with serving(tmp_path, MPI_CACHE_BYTES="1024") as api:
        for _ in range(2):
            assert (await ask(api))["served_from"] == "provider"


async def test_a_cache_of_one_entry_keeps_the_last_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, MPI_CACHE_ENTRIES="1") as api:
        await ask(api)
        await ask(api, patient_data={"last_name": "Doe", "zip": "19901"})
        assert (await ask(api))["served_from"] == "provider"
        assert (await ask(api))["served_from"] == "memory"
