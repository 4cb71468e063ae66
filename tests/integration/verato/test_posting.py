"""An index that our own engine made is told to Verato afterwards: in the background, once, and without new ids."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from mpi.domain.errand import ErrandKind
from mpi.domain.record import RecordKey
from mpi.providers.verato.links import link_key
from mpi.service.untold import Queued, queue_untold
from mpi.settings import EMBEDDED
from tests.support.api import Api, serving
from tests.support.service import run_mpi
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_service import body, match, settings

MADE = registrations(300)[:40]
_NOTHING = timedelta(0)


@pytest.fixture
async def persons(tmp_path: Path) -> list[str]:
    """The index as our engine made it, and who each registration is there."""
    async with serving(tmp_path) as api:
        return [
            (await match(api, row, str(number)))["mpi_id"] for number, (row, _) in enumerate(MADE)
        ]


@pytest.fixture
async def api(persons: list[str], verato: Verato, tmp_path: Path) -> AsyncIterator[Api]:
    del persons  # the index has to be there first
    async with serving(tmp_path, **settings(verato)) as api:
        yield api


async def queue(api: Api) -> Queued:
    assert api.parts.verato is not None
    return await queue_untold(api.parts.store, api.parts.store, api.parts.verato.counterpart)


async def deliver(api: Api) -> None:
    assert api.parts.courier is not None
    await api.parts.courier.deliver()


async def holders(api: Api) -> list[str]:
    """Who each registration is now."""
    return [
        (await api.client.get(f"/mpi/records/{SOURCE}/{number}")).json()["mpi_id"]
        for number in range(len(MADE))
    ]


async def test_every_record_is_told_once_and_belongs_to_whom_verato_says(
    verato: Verato, api: Api, persons: list[str]
) -> None:
    assert await queue(api) == Queued(len(MADE), 0, len(MADE))
    assert (await queue(api)).queued == 0
    await deliver(api)
    assert verato.applied("postIdentity") == verato.calls("postIdentity") == len(MADE)
    assert await queue(api) == Queued(len(MADE), len(MADE), 0)
    people: dict[str, set[str]] = defaultdict(set)
    for holder, (_, truth) in zip(await holders(api), MADE, strict=True):
        people[truth.entity_id].add(holder)
    assert all(len(ids) == 1 for ids in people.values())
    assert set().union(*people.values()) <= set(persons)
    for number in range(len(MADE)):
        record = await api.parts.store.record(RecordKey(SOURCE, str(number)))
        assert record is not None
        assert link_key(verato.link_of((SOURCE, str(number)))) in record.blocking_keys
    for mpi_id in persons:
        assert (await api.client.get(f"/mpi/persons/{mpi_id}")).status_code == 200


async def test_what_is_told_is_found_by_its_link(verato: Verato, api: Api) -> None:
    await queue(api)
    await deliver(api)
    before = await holders(api)
    found = await match(api, MADE[0][0], "77", source="CLINIC")
    assert (found["mpi_id"], found["status"]) == (before[0], "matched")


async def test_the_real_time_lane_goes_first(verato: Verato, api: Api) -> None:
    await queue(api)
    first, second = (await holders(api))[:2]
    merge = {"retire": second, "reason": "seen together"}
    done = await api.client.post(f"/mpi/persons/{first}/merge", json=merge)
    assert done.status_code == 200
    leased, *_ = await api.parts.store.due(lease=_NOTHING, limit=5)
    assert leased.errand.kind is ErrandKind.ALIGN


async def test_while_verato_is_away_everything_waits(verato: Verato, api: Api) -> None:
    await queue(api)
    verato.plan("503", times=None)
    await deliver(api)
    (waiting,) = await api.parts.store.waiting()
    assert waiting.count == len(MADE)
    assert (await api.client.post("/mpi/search", json=body(MADE[0][0]))).status_code == 503


def test_the_command_queues_and_delivers(verato: Verato, tmp_path: Path) -> None:
    file = tmp_path / "rows.ndjson"
    rows = [{k: v for k, v in row.items() if v} for row, _ in MADE[:5]]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run_mpi(tmp_path, "load", str(file), "--embedded").returncode == 0
    sources = {row["source"]: row["source"] for row in rows}
    place = {**EMBEDDED, **settings(verato, VERATO_SOURCE_MAP=json.dumps(sources))}
    queued = run_mpi(tmp_path, "post", "--json", settings=place)
    assert json.loads(queued.stdout) == {
        "records": 5,
        "told_before": 0,
        "queued": 5,
        "waiting": 5,
    }
    done = run_mpi(tmp_path, "post", "--deliver", "--json", settings=place)
    assert json.loads(done.stdout) == {"records": 5, "told_before": 0, "queued": 0, "waiting": 0}
    assert verato.applied("postIdentity") == 5
    refused = run_mpi(tmp_path, "post", settings={**EMBEDDED})
    assert (refused.returncode, "MPI_PROVIDER" in refused.stderr) == (2, True)


async def test_a_number_that_was_given_anew_is_told_again(verato: Verato, tmp_path: Path) -> None:
    once, now = [row | {"recorded_at": ""} for row, _ in MADE[:2]]
    async with serving(tmp_path, **settings(verato)) as api:
        await match(api, once, "1")
        assert await queue(api) == Queued(1, 1, 0)
    async with serving(tmp_path) as internal:
        await internal.client.delete(f"/mpi/records/{SOURCE}/1")
        await match(internal, now, "1")
    async with serving(tmp_path, **settings(verato)) as api:
        assert await queue(api) == Queued(1, 0, 1)
