"""Several services with one index in MongoDB and one Redis: Verato is asked once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from secrets import token_hex

import pytest

from bench.daemons import Mongod, Valkey
from tests.support.api import Api, serving
from tests.support.verato import Verato, registrations
from tests.support.verato_service import match, settings

ROW = registrations(300)[1][0]


@pytest.fixture
def place(mongod: Mongod, valkey: Valkey) -> dict[str, str]:
    """An index that several services share, and the cache that the product has by default."""
    return {
        "MPI_STORE": "mongodb",
        "MONGODB_URI": mongod.uri,
        "MPI_DB": f"verato_{token_hex(4)}",
        "MPI_HMAC_KEY": token_hex(32),
        "MPI_CACHE": "memory,redis,mongodb",
        "MPI_CACHE_TIMEOUT": "1",
        "REDIS_PORT": str(valkey.port),
    }


@asynccontextmanager
async def two(
    folder: Path, verato: Verato, place: dict[str, str], **second: str
) -> AsyncIterator[tuple[Api, Api]]:
    """Two services in one place; ``second`` is what is different for the other one."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(serving(folder, **settings(verato, **place)))
        other = await stack.enter_async_context(
            serving(folder, **settings(verato, **place, **second))
        )
        yield one, other


async def test_what_one_service_was_told_another_gives_too(
    verato: Verato, tmp_path: Path, place: dict[str, str]
) -> None:
    async with two(tmp_path, verato, place) as (one, other):
        mpi_id = (await match(one, ROW, "1"))["mpi_id"]
        asked = await match(one, ROW)
        found = await match(other, ROW)
        assert (found["mpi_id"], found["served_from"]) == (mpi_id, "redis")
        assert found["provider_ids"] == asked["provider_ids"]
        assert found["grade"] == "certain"
        assert verato.calls("demographicsQuery") == 1


async def test_a_registration_anywhere_ends_what_is_kept_everywhere(
    verato: Verato, tmp_path: Path, place: dict[str, str]
) -> None:
    async with two(tmp_path, verato, place) as (one, other):
        await match(one, ROW, "1")
        for service in (one, other):
            await match(service, ROW)
        joined = await match(other, ROW, "2", source="CLINIC")
        assert joined["status"] == "matched"
        assert (await match(other, ROW))["served_from"] == "provider"
        assert verato.calls("demographicsQuery") == 2


async def test_answers_of_another_verato_are_never_given(
    verato: Verato, tmp_path: Path, place: dict[str, str]
) -> None:
    async with two(tmp_path, verato, place, VERATO_SSN_FORMAT="dashed") as (one, other):
        await match(one, ROW, "1")
        first = await match(one, ROW)
        second = await match(other, ROW)
        assert second["served_from"] == "provider"
        assert second["model_version"] != first["model_version"]
        assert verato.calls("demographicsQuery") == 2


async def test_one_person_at_two_services_at_once_is_one_person(
    verato: Verato, tmp_path: Path, place: dict[str, str]
) -> None:
    async with two(tmp_path, verato, place) as (one, other):
        found = await asyncio.gather(
            *(match(service, ROW, f"{number}") for number, service in enumerate((one, other) * 10))
        )
        assert len({each["mpi_id"] for each in found}) == 1
