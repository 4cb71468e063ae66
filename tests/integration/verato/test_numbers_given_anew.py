"""A number that is another patient's by now, while Verato keeps the one before: nobody is put together by it."""

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
ONCE, NOW = (MADE[126], MADE[170]), (MADE[40], MADE[68])
"""Two patients of other names and birthdays, of whom Verato takes the second for an overlay; two registrations each."""
PROVIDERS: dict[str, dict[str, str]] = {
    "verato": {},
    "grey_zone": {"MPI_PROVIDER": "hybrid"},
    "internal_first": {"MPI_PROVIDER": "hybrid", "MPI_HYBRID_STRATEGY": "internal_first"},
    "verato_first": {"MPI_PROVIDER": "hybrid", "MPI_HYBRID_STRATEGY": "verato_first"},
}


@pytest.fixture(params=PROVIDERS)
async def api(verato: Verato, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    async with serving(tmp_path, **settings(verato, **PROVIDERS[request.param])) as api:
        yield api


async def follow(api: Api) -> None:
    """Ask Verato what has changed, follow it, and tell it what waits."""
    assert api.parts.courier is not None
    assert api.parts.courier.begin is not None
    for _ in range(2):
        await api.parts.courier.begin()
        await api.parts.courier.deliver()


async def told(api: Api, row: dict[str, str], number: str) -> None:
    """Registered, and known to Verato however clear it is to our own matching."""
    await match(api, row, number)
    await api.parts.store.queue([Errand(ErrandKind.POST, (RecordKey(SOURCE, number),))])
    await follow(api)


async def holders(api: Api, *numbers: str) -> list[str | None]:
    found = [await api.parts.store.record(RecordKey(SOURCE, number)) for number in numbers]
    return [None if record is None else record.mpi_id for record in found]


async def untold(api: Api) -> list[str]:
    """The numbers whose patient Verato does not take, by the tasks about them."""
    answer = await api.client.get("/mpi/tasks?status=open")
    tasks: list[dict[str, Any]] = answer.json()["tasks"]
    return [t["record"]["source_id"] for t in tasks if t["reason"] == "untold_elsewhere"]


async def change(api: Api, path: str, **body: Any) -> Any:
    answer = await api.client.post(path, json={"reason": "looked it up"} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def given_anew(api: Api) -> None:
    """A number of one patient is deleted and another patient's: 1, formerly like 9, is like 2."""
    await told(api, ONCE[0], "1")
    await told(api, ONCE[1], "9")
    await told(api, NOW[1], "2")
    assert (await api.client.delete(f"/mpi/records/{SOURCE}/1")).status_code == 200
    await match(api, NOW[0], "1")
    await follow(api)


async def chosen(api: Api) -> None:
    """The same, after a steward has said that the number is a new patient's."""
    await told(api, ONCE[0], "1")
    await told(api, ONCE[1], "9")
    await told(api, NOW[1], "2")
    task = (await match(api, NOW[0], "1"))["task_id"]
    await change(api, f"/mpi/tasks/{task}/decide", outcome="new")
    await follow(api)


BEFORE = pytest.mark.parametrize("before", [given_anew, chosen])


@BEFORE
async def test_who_had_a_number_before_joins_nobody_by_it(
    verato: Verato, api: Api, before: Any
) -> None:
    await before(api)
    verato.rename(verato.link_of((SOURCE, "9")))
    await follow(api)
    now, other = await holders(api, "1", "9")
    assert now != other


@BEFORE
async def test_who_had_a_number_before_is_not_linked_instead_of_who_has_it(
    verato: Verato, api: Api, before: Any
) -> None:
    await before(api)
    pair = [[SOURCE, "1"], [SOURCE, "2"]]
    await change(api, "/mpi/assertions", kind="same", records=pair)
    await follow(api)
    assert verato.link_of((SOURCE, "9")) != verato.link_of((SOURCE, "2"))
    now, other, once = await holders(api, "1", "2", "9")
    assert now == other != once
    assert await untold(api) == ["1"]


@pytest.mark.parametrize("how", ["deleted", "chosen"])
async def test_who_is_registered_elsewhere_does_not_join_who_has_the_number_now(
    verato: Verato, api: Api, how: str
) -> None:
    await told(api, ONCE[0], "1")
    if how == "deleted":
        await api.client.delete(f"/mpi/records/{SOURCE}/1")
    found = await match(api, NOW[0], "1")
    if how == "chosen":
        await change(api, f"/mpi/tasks/{found['task_id']}/decide", outcome="new")
    await follow(api)
    await match(api, ONCE[1], "9")
    await follow(api)
    now, once = await holders(api, "1", "9")
    assert now != once


async def test_a_refused_number_is_asked_about_until_verato_takes_it(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        await given_anew(api)
        assert await untold(api) == ["1"]
        (task,) = (await api.client.get("/mpi/tasks?status=open")).json()["tasks"]
        del verato.simulated.tenant.registry._registrations[SOURCE, "1"]  # mended there
        await change(api, f"/mpi/tasks/{task['task_id']}/decide", outcome="same")
        await follow(api)
        assert verato.link_of((SOURCE, "1")) == verato.link_of((SOURCE, "2"))
        now, other = await holders(api, "1", "2")
        assert now == other
        assert await untold(api) == []


async def test_a_number_whose_patient_is_not_taken_there_replaces_none(
    verato: Verato, api: Api
) -> None:
    await given_anew(api)
    await change(api, f"/mpi/records/{SOURCE}/2/replace", by="1", override=True)
    await follow(api)
    assert verato.link_of((SOURCE, "9")) != verato.link_of((SOURCE, "2"))
    assert verato.calls("mergeIdentities") == 0


async def test_a_number_whose_patient_was_not_taken_there_is_not_replaced(
    verato: Verato, api: Api
) -> None:
    await given_anew(api)
    await change(api, f"/mpi/records/{SOURCE}/1/replace", by="2", override=True)
    await follow(api)
    assert verato.link_of((SOURCE, "9")) != verato.link_of((SOURCE, "2"))
    assert verato.calls("mergeIdentities") == 0
