"""Decisions about the same persons that are told together or late: Verato ends with the persons that are here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.record import RecordKey
from tests.support.api import Api, serving
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_service import match, settings

MADE = [row | {"recorded_at": ""} for row, _ in registrations(300)]
STRANGERS = [MADE[number] for number in (5, 11, 17, 23)]
TWICE, ALONE = (MADE[126], MADE[170]), MADE[40]
"""One patient, registered twice, and another."""
PROVIDERS: dict[str, dict[str, str]] = {
    "verato": {},
    "hybrid": {"MPI_PROVIDER": "hybrid"},
    "verato_first": {"MPI_PROVIDER": "hybrid", "MPI_HYBRID_STRATEGY": "verato_first"},
}


@pytest.fixture(params=PROVIDERS)
async def api(verato: Verato, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    chosen = {"VERATO_BREAKER_CALLS": "100000", **PROVIDERS[request.param]}
    async with serving(tmp_path, **settings(verato, **chosen)) as api:
        yield api


async def deliver(api: Api) -> None:
    """Tell what waits."""
    assert api.parts.courier is not None
    await api.parts.courier.deliver()


async def told(api: Api, row: dict[str, str], number: str) -> None:
    """Registered, and known to Verato however clear it is to our own matching."""
    await match(api, row, number)
    await api.parts.store.queue([Errand(ErrandKind.POST, (RecordKey(SOURCE, number),))])
    await deliver(api)


async def holder(api: Api, number: str) -> str:
    record = await api.parts.store.record(RecordKey(SOURCE, number))
    assert record is not None
    assert record.mpi_id is not None
    return record.mpi_id


async def decide(api: Api, path: str, **body: Any) -> Any:
    answer = await api.client.post(path, json={"reason": "looked it up"} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def links(verato: Verato, numbers: str) -> list[set[str]]:
    """The numbers by their links at Verato."""
    found: dict[str, set[str]] = {}
    for number in numbers:
        found.setdefault(verato.link_of((SOURCE, number)), set()).add(number)
    return list(found.values())


async def open_tasks(api: Api) -> list[str]:
    answer = await api.client.get("/mpi/tasks?status=open")
    return [task["reason"] for task in answer.json()["tasks"]]


async def test_a_person_that_is_split_in_two_moves_is_split_there(verato: Verato, api: Api) -> None:
    for number, row in zip("1234", STRANGERS, strict=True):
        await told(api, row, number)
    for number in "234":
        one, other = await holder(api, "1"), await holder(api, number)
        await decide(api, f"/mpi/persons/{one}/merge", retire=other)
    await deliver(api)
    assert links(verato, "1234") == [{"1", "2", "3", "4"}]
    verato.pace(tps=0, latency_ms=20)  # both moves are told side by side
    await decide(api, f"/mpi/records/{SOURCE}/3/move", to="new")
    await decide(api, f"/mpi/records/{SOURCE}/4/move", to=await holder(api, "3"))
    await deliver(api)
    assert links(verato, "1234") == [{"1", "2"}, {"3", "4"}]
    assert await holder(api, "1") == await holder(api, "2") != await holder(api, "3")
    assert await holder(api, "3") == await holder(api, "4")
    assert await open_tasks(api) == []


async def test_who_leaves_before_an_assertion_is_told_leaves_the_others_together(
    verato: Verato, api: Api
) -> None:
    for number, row in zip("123", (*TWICE, TWICE[0]), strict=True):
        await told(api, row, number)
    records = [[SOURCE, "1"], [SOURCE, "2"]]
    await decide(api, "/mpi/assertions", kind="same", records=records)
    await decide(api, f"/mpi/records/{SOURCE}/1/move", to="new", override=True)
    await deliver(api)
    assert links(verato, "123") == [{"1"}, {"2", "3"}]
    assert await holder(api, "1") != await holder(api, "2") == await holder(api, "3")


@pytest.mark.parametrize("leaving", ["moved", "deleted"])
async def test_a_merge_is_told_though_who_stood_for_the_person_has_left(
    verato: Verato, api: Api, leaving: str
) -> None:
    for number, row in zip("123", (*TWICE, ALONE), strict=True):
        await told(api, row, number)
    one, other = await holder(api, "1"), await holder(api, "3")
    await decide(api, f"/mpi/persons/{one}/merge", retire=other)
    if leaving == "moved":
        await decide(api, f"/mpi/records/{SOURCE}/1/move", to="new")
    else:
        await api.client.delete(f"/mpi/records/{SOURCE}/1")
    await deliver(api)
    assert verato.link_of((SOURCE, "2")) == verato.link_of((SOURCE, "3"))
    assert await holder(api, "2") == await holder(api, "3")


@pytest.mark.parametrize(
    "deleted", ["before the merge", "after the merge", "before its undo is told"]
)
async def test_an_undo_takes_along_what_was_deleted(verato: Verato, api: Api, deleted: str) -> None:
    for number, row in zip("312", (ALONE, *TWICE), strict=True):
        await told(api, row, number)
    other, mine = await holder(api, "3"), await holder(api, "1")
    if deleted == "before the merge":
        await api.client.delete(f"/mpi/records/{SOURCE}/2")
    merge = await decide(api, f"/mpi/persons/{other}/merge", retire=mine)
    await deliver(api)
    if deleted == "after the merge":
        await api.client.delete(f"/mpi/records/{SOURCE}/2")
    await decide(api, f"/mpi/events/{merge['event_id']}/undo")
    if deleted == "before its undo is told":
        await api.client.delete(f"/mpi/records/{SOURCE}/2")
    await deliver(api)
    assert links(verato, "123") == [{"1", "2"}, {"3"}]
    found = await match(api, TWICE[1], "4")
    assert found["mpi_id"] == mine
    assert await open_tasks(api) == []


async def test_a_number_that_was_replaced_stays_replaced(verato: Verato, api: Api) -> None:
    for number, row in zip("123", (*TWICE, ALONE), strict=True):
        await told(api, row, number)
    one, other = await holder(api, "1"), await holder(api, "3")
    await decide(api, f"/mpi/records/{SOURCE}/2/replace", by="1")
    await deliver(api)
    merge = await decide(api, f"/mpi/persons/{one}/merge", retire=other)
    await deliver(api)
    await decide(api, f"/mpi/events/{merge['event_id']}/undo")
    await deliver(api)
    assert links(verato, "13") == [{"1"}, {"3"}]
    assert await open_tasks(api) == []
