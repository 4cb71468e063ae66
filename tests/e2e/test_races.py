"""Many registrations of one new patient at the same moment, over several workers, make one person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from tests.conftest import Effort
from tests.support.people import FAULTS, Patient, made_up
from tests.support.service import EMBEDDED, Profile, Service

pytestmark = pytest.mark.proof

AT_ONCE = 64


def registrations(chance: Random, number: int) -> list[dict[str, Any]]:
    """Half of them exact copies, the other half with one fault each, in any order."""
    patient = made_up(chance)
    faults = list(FAULTS.values())
    copies: list[Patient] = [
        faults[at // 2 % len(faults)](patient) if at % 2 else patient for at in range(AT_ONCE)
    ]
    chance.shuffle(copies)
    return [
        {"patient_data": copy, "source": f"SITE-{at % 5}", "source_id": f"{number}-{at}"}
        for at, copy in enumerate(copies)
    ]


async def race(urls: Sequence[str], bodies: list[dict[str, Any]]) -> list[httpx2.Response]:
    """Send all of them at one moment, each on a connection of its own, to the services in turn."""
    limits = httpx2.Limits(max_connections=AT_ONCE, max_keepalive_connections=0)
    async with httpx2.AsyncClient(limits=limits, timeout=150) as client:
        places = cycle(f"{url}/mpi/match" for url in urls)
        return await asyncio.gather(*(client.post(next(places), json=body) for body in bodies))


def test_a_race_makes_one_person_and_loses_nothing(
    tmp_path: Path, effort: Effort, profile: Profile
) -> None:
    """Two workers on a file; on a server two instances with two workers each."""
    chance, persons = Random(64), []
    with ExitStack() as stack:
        instances = 1 if profile is EMBEDDED else 2
        services = [
            stack.enter_context(profile.running(tmp_path, "--workers", "2"))
            for _ in range(instances)
        ]
        urls = [service.url for service in services]
        for number in range(effort(2, 200)):
            bodies = registrations(chance, number)
            answers = asyncio.run(race(urls, bodies))
            assert [answer.status_code for answer in answers] == [200] * AT_ONCE
            persons.append(_one_person(services[0], bodies, [answer.json() for answer in answers]))
        assert len(set(persons)) == len(persons)
        assert [service.stop() for service in services] == [0] * instances
    statistics = json.loads(profile.run(tmp_path, "stats", "--json").stdout)
    assert statistics["records"] == AT_ONCE * len(persons)
    assert statistics["persons"] == len(persons)
    assert profile.violations(tmp_path) == []


def _one_person(
    service: Service, bodies: list[dict[str, Any]], answers: list[dict[str, Any]]
) -> str:
    """The person that all of them became; its crosswalk holds each of their ids."""
    found = {answer["mpi_id"] for answer in answers}
    assert len(found) == 1, sorted((a["status"], a["match_weight"]) for a in answers)
    assert sorted(answer["status"] for answer in answers) == ["created"] + ["matched"] * (
        AT_ONCE - 1
    )
    (mpi_id,) = found
    person = httpx2.get(f"{service.url}/mpi/persons/{mpi_id}", timeout=30).json()
    ids = {(body["source"], body["source_id"]) for body in bodies}
    assert {tuple(pair) for pair in person["crosswalk"]} == ids
    return str(mpi_id)


async def rush(urls: Sequence[str], patients: list[Patient]) -> list[tuple[int, str]]:
    """Each client registers every patient as its own site knows them, in an order of its own; patient and person."""
    faults = list(FAULTS.values())
    found: list[tuple[int, str]] = []

    async def client(at: int, http: httpx2.AsyncClient) -> None:
        chance = Random(at)
        for number in chance.sample(range(len(patients)), len(patients)):
            patient = patients[number]
            copy = faults[(at // 2 + number) % len(faults)](patient) if at % 2 else patient
            body = {"patient_data": copy, "source": f"SITE-{at}", "source_id": str(number)}
            answer = await http.post("/mpi/match", json=body)
            assert answer.status_code == 200, answer.text
            found.append((number, answer.json()["mpi_id"]))

    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx2.AsyncClient(base_url=url, timeout=120))
            for url, _ in zip(cycle(urls), range(AT_ONCE), strict=False)
        ]
        await asyncio.gather(*(client(at, http) for at, http in enumerate(clients)))
    return found


def test_many_clients_who_register_the_same_patients_make_each_of_them_once(
    tmp_path: Path, effort: Effort, on_server: Profile
) -> None:
    """Over two instances with two workers each, on one database."""
    chance = Random(500)
    patients = [made_up(chance) for _ in range(effort(2, 500))]
    with ExitStack() as stack:
        services = [
            stack.enter_context(on_server.running(tmp_path, "--workers", "2")) for _ in range(2)
        ]
        found = asyncio.run(rush([service.url for service in services], patients))
    assert len(found) == AT_ONCE * len(patients)
    statistics = json.loads(on_server.run(tmp_path, "stats", "--json").stdout)
    assert statistics["records"] == AT_ONCE * len(patients)
    assert statistics["persons"] == len(patients)
    assert on_server.violations(tmp_path) == []
