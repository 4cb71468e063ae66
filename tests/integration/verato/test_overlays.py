"""Another patient's content under a known number: while it waits for a steward it is no evidence, here or at Verato."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.identity import AUTOMATIC
from mpi.domain.record import RecordKey
from mpi.providers.verato.links import link_key
from tests.support.api import Api, serving
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_service import match, on_mongodb, settings

MADE = [row | {"recorded_at": ""} for row, _ in registrations(300)]
MINE, THEIRS = MADE[0], MADE[21]
"""Two patients of one surname: Verato does not notice that the one is written over the other."""
A, B = (SOURCE, "1"), (SOURCE, "2")
PROVIDERS: dict[str, dict[str, str]] = {
    "verato": {},
    "hybrid": {"MPI_PROVIDER": "hybrid", "MPI_HYBRID_FEED": "all"},
    "verato_first": {"MPI_PROVIDER": "hybrid", "MPI_HYBRID_STRATEGY": "verato_first"},
}
ON_MONGODB = [f"{name} on mongodb" for name in ("verato", "verato_first")]


@pytest.fixture(params=[*PROVIDERS, *ON_MONGODB])
async def api(verato: Verato, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    name, _, store = str(request.param).partition(" on ")
    place = on_mongodb(request.getfixturevalue("mongod")) if store else {}
    async with serving(tmp_path, **settings(verato, **PROVIDERS[name], **place)) as api:
        yield api


async def follow(api: Api) -> None:
    """Ask Verato what has changed, follow it, and tell it what waits."""
    assert api.parts.courier is not None
    assert api.parts.courier.begin is not None
    await api.parts.courier.begin()
    await api.parts.courier.deliver()


async def holder(api: Api, key: tuple[str, str]) -> str:
    record = await api.parts.store.record(RecordKey(*key))
    assert record is not None
    assert record.mpi_id is not None
    return record.mpi_id


async def overlaid(api: Api) -> str:
    """Both patients, then the second's content under the first's number: the task that waits."""
    await follow(api)
    await match(api, MINE, "1")
    await match(api, THEIRS, "2")
    await follow(api)
    found = await match(api, THEIRS, "1")
    assert (found["status"], found["provisional"]) == ("review", True)
    task: str = found["task_id"]
    return task


async def decide(api: Api, task: str, outcome: str) -> Any:
    body = {"outcome": outcome, "reason": "looked it up"}
    answer = await api.client.post(f"/mpi/tasks/{task}/decide", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def automatic(api: Api) -> list[str]:
    events = (await api.client.get("/mpi/events?limit=500")).json()["events"]
    moved = {"merged", "moved"}
    return [e["kind"] for e in events if e["kind"] in moved and e["detail"].get(AUTOMATIC)]


async def test_what_waits_is_not_told_and_merges_nobody(verato: Verato, api: Api) -> None:
    task = await overlaid(api)
    for _ in range(2):
        await follow(api)
    assert verato.applied("postIdentity") == 2
    assert verato.link_of(A) != verato.link_of(B)
    assert await holder(api, A) != await holder(api, B)
    await decide(api, task, "reject")
    for _ in range(2):
        await follow(api)
    assert verato.applied("postIdentity") == 2
    assert verato.link_of(A) != verato.link_of(B)
    assert await holder(api, A) != await holder(api, B)
    assert await automatic(api) == []


@pytest.mark.parametrize("outcome", ["accept", "new"])
async def test_what_a_steward_makes_current_is_told(verato: Verato, api: Api, outcome: str) -> None:
    await decide(api, await overlaid(api), outcome)
    for _ in range(2):
        await follow(api)
    assert verato.applied("postIdentity") == 3
    assert verato.link_of(A) == verato.link_of(B)
    assert await holder(api, A) == await holder(api, B)


async def test_where_verato_has_the_number_before_it_is_told_moves_nothing(
    verato: Verato, api: Api
) -> None:
    await match(api, MINE, "3")
    task = await overlaid(api)
    assert await holder(api, A) == await holder(api, (SOURCE, "3"))
    await decide(api, task, "new")
    verato.plan("503", "postIdentity", times=None)
    await api.parts.store.queue([Errand(ErrandKind.FOLLOW, (RecordKey(*A),))])
    await follow(api)
    assert await holder(api, A) != await holder(api, (SOURCE, "3"))
    record = await api.parts.store.record(RecordKey(*A))
    assert record is not None
    assert link_key(verato.link_of(A)) not in record.blocking_keys
    assert verato.calls("unlinkIdentities") == 0


@pytest.mark.parametrize("api", ["verato", "verato_first", *ON_MONGODB], indirect=True)
@pytest.mark.parametrize("survivor", [A, B])
async def test_what_verato_makes_of_a_version_that_waits_merges_nobody(
    verato: Verato, api: Api, survivor: tuple[str, str]
) -> None:
    other = B if survivor == A else A
    await follow(api)
    await match(api, MINE, "1")
    await match(api, THEIRS, "2")
    await follow(api)
    mine, theirs = await holder(api, A), await holder(api, B)
    verato.plan("overlay", "postIdentity")
    # Only Verato takes it for somebody else: so it has been told, and its stewards may yet make it current there.
    found = await match(api, MINE | {"city": "Elsewhere", "last_name": "Smithe"}, "1")
    verato.link(survivor, other)
    for _ in range(2):
        await follow(api)
    assert (await holder(api, A), await holder(api, B)) == (mine, theirs)
    verato.unlink(survivor, other)
    await decide(api, found["task_id"], "reject")
    for _ in range(2):
        await follow(api)
    assert (await holder(api, A), await holder(api, B)) == (mine, theirs)
    assert verato.link_of(A) != verato.link_of(B)


async def test_who_is_linked_to_a_version_that_waits_is_asked_about(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        first = await match(api, MINE, "1")
        verato.plan("overlay", "postIdentity")
        await match(api, MINE | {"city": "Elsewhere", "last_name": "Smithe"}, "1")
        found = await match(api, MINE, "3")
        assert (found["status"], found["mpi_id"] == first["mpi_id"]) == ("review", False)
        assert found["provider_ids"] == first["provider_ids"]
        tasks = (await api.client.get("/mpi/tasks")).json()["tasks"]
        assert [t["reason"] for t in tasks] == ["overlay", "linked_to_what_waits"]


@pytest.mark.parametrize("api", ["verato", "verato_first", *ON_MONGODB], indirect=True)
@pytest.mark.parametrize("outcome", ["accept", "new"])
async def test_what_verato_refused_is_told_again_when_a_steward_makes_it_current(
    verato: Verato, api: Api, outcome: str
) -> None:
    await match(api, MINE, "1")
    verato.plan("overlay", "postIdentity")
    found = await match(api, MINE | {"city": "Elsewhere"}, "1")
    await decide(api, found["task_id"], outcome)
    await follow(api)
    known = verato.simulated.tenant.registry.find(A)
    assert known is not None
    assert known.identity["addresses"][0]["city"] == "Elsewhere"
