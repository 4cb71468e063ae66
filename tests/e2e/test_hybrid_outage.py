"""Verato is away while registrations go on, and comes back: nobody has noticed, and nothing is left of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mpi.demo.verato.truth import People
from mpi.domain.errand import ErrandKind
from mpi.domain.record import RecordKey
from tests.conftest import Effort
from tests.support.api import Api, serving
from tests.support.hybrid import MADE, hybrid
from tests.support.service import run_mpi
from tests.support.verato import Verato, registrations, running
from tests.support.verato_service import body

Row = dict[str, str]
_PROVING = 60_000  # five minutes of 200 a second
_GREY = (718, 742, 32, 396, 37, 525, 473, 741, 60, 477, 608, 799, 78, 637)


def rows_of(count: int) -> list[Row]:
    """So many registrations, grey ones among them; in a proof a whole population."""
    if count > len(MADE):
        return [row for row, _ in registrations(count)]
    return [MADE[n] for n in sorted({*_GREY, *range(100, 100 + count)})]


async def registered(api: Api, rows: Sequence[Row], rate: float) -> list[dict[str, Any]]:
    """Register at a steady rate, whether answers come or not."""

    async def register(row: Row) -> dict[str, Any]:
        answer = await api.client.post(
            "/mpi/match", json=body(row, row["source_id"], row["source"])
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    started = time.monotonic()
    asked = []
    for number, row in enumerate(rows):
        await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        asked.append(asyncio.ensure_future(register(row)))
    return list(await asyncio.gather(*asked))


async def drained(api: Api, seconds: float) -> None:
    """Wait until nothing waits but to listen."""
    deadline = time.monotonic() + seconds
    while any(w.kind is not ErrandKind.LISTEN for w in await api.parts.store.waiting()):
        assert time.monotonic() < deadline, "the backlog does not drain"
        await asyncio.sleep(0.2)


@pytest.fixture
def verato(tmp_path: Path, effort: Effort) -> Iterator[Verato]:
    """One that makes no errors, so that whoever is double is so by a defect of ours."""
    people = People(sensitivity=1, ppv=1)
    people.learn(registrations(effort(len(MADE), _PROVING)))
    (tmp_path / "verato").mkdir()
    with running(tmp_path / "verato", people=people) as verato:
        yield verato


@pytest.mark.proof
async def test_an_outage_leaves_no_trace(verato: Verato, tmp_path: Path, effort: Effort) -> None:
    rows = rows_of(effort(80, _PROVING))
    sources = {row["source"]: row["source"] for row in rows}
    chosen = hybrid(
        verato,
        VERATO_SOURCE_MAP=json.dumps(sources),
        VERATO_BREAKER_CALLS="4",
        VERATO_BREAKER_PAUSE="1",
        VERATO_RAMP_PER_MIN="100000",
    )
    async with serving(tmp_path, **chosen) as api, api.parts.at_work():
        verato.plan("503", times=None)
        answers = await registered(api, rows, rate=200)
        provisional = [answer for answer in answers if answer["provisional"]]
        assert len(provisional) >= 4
        posted = verato.applied("postIdentity")
        assert posted == 0
        verato.pace(tps=200)
        verato.control.delete("/__sim/faults")
        await drained(api, effort(60, 600))
        await follows_from_events(api, answers)
        await no_person_is_double(api)
        assert verato.applied("postIdentity") == verato.state()["registrations"]
    where = {"MPI_SQLITE_PATH": str(tmp_path / "index.sqlite3")}
    verify = ("verify", "--embedded", "--json")
    verified = await asyncio.to_thread(run_mpi, tmp_path, *verify, settings=where)
    assert json.loads(verified.stdout)["violations"] == []


async def events_of(api: Api) -> list[Any]:
    found: list[Any] = []
    while page := await api.parts.store.events(found[-1].seq if found else 0):
        found += page
    return found


async def follows_from_events(api: Api, answers: Sequence[dict[str, Any]]) -> None:
    """Whoever is called otherwise now than was answered then was merged by an event, and nobody else."""
    merged = {gone: kept for event in await events_of(api) for gone, kept in event.retired}
    for answer in answers:
        expected = answer["mpi_id"]
        while expected in merged:
            expected = merged[expected]
        record = await api.parts.store.record(RecordKey(answer["source"], answer["source_id"]))
        assert record is not None
        assert record.mpi_id == expected


async def no_person_is_double(api: Api) -> None:
    """Records that Verato has under one link are one person, or a steward is asked about them."""
    held: dict[str, set[RecordKey]] = defaultdict(set)
    for event in await events_of(api):
        link = event.detail.get("told", {}).get("link_id")
        if link:
            held[link].add(event.record)
    asked = {task.record for task in await api.parts.store.tasks(None, limit=100_000)}
    for keys in held.values():
        found = [await api.parts.store.record(key) for key in keys]
        persons = {record.mpi_id for record in found if record is not None}
        assert len(persons) == 1 or keys & asked
