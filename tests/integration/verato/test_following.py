"""What changes at Verato is followed here within one poll, whatever way it is told of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.record import RecordKey
from mpi.matching.blocking import blocking_keys, stored_keys
from mpi.matching.record import StandardRecord
from mpi.providers.verato import links
from mpi.service import preparation
from tests.support.api import Api, serving
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_service import match, on_mongodb, settings

MADE = registrations(300)
ROWS = [row for row, _ in MADE]
ACTOR = {"reason": "seen together"}


@pytest.fixture(params=["sqlite", "mongodb"])
def place(request: pytest.FixtureRequest) -> dict[str, str]:
    """Where the index is."""
    if request.param == "sqlite":
        return {}
    return on_mongodb(request.getfixturevalue("mongod"))


@pytest.fixture
async def api(verato: Verato, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, **settings(verato)) as api:
        assert api.parts.courier is not None
        assert api.parts.courier.begin is not None
        await api.parts.courier.begin()
        yield api


async def poll(api: Api) -> None:
    """Ask Verato what has changed, and follow it."""
    assert api.parts.courier is not None
    assert api.parts.courier.begin is not None
    await api.parts.courier.begin()  # due at once
    await api.parts.courier.deliver()


async def holder(api: Api, source_id: str) -> str:
    """The person of a registration."""
    found = await api.client.get(f"/mpi/records/{SOURCE}/{source_id}")
    mpi_id: str = found.json()["mpi_id"]
    return mpi_id


async def crosswalk(api: Api, mpi_id: str) -> set[tuple[str, str]]:
    found = (await api.client.get(f"/mpi/persons/{mpi_id}")).json()
    return {(record["source"], record["source_id"]) for record in found["records"]}


async def registered(api: Api, *numbers: int) -> list[dict[str, Any]]:
    """Rows of the population, registered under their own places in it."""
    return [await match(api, ROWS[number], str(number)) for number in numbers]


async def events(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.client.get("/mpi/events?limit=500")).json()["events"]
    return found


async def tasks(api: Api) -> list[dict[str, Any]]:
    answer = await api.client.get("/mpi/tasks?status=open")
    found: list[dict[str, Any]] = answer.json()["tasks"]
    return found


def by_people() -> list[list[int]]:
    """Places of the registrations of one person, for persons that have several."""
    places: dict[str, list[int]] = {}
    for place, (_, truth) in enumerate(MADE):
        places.setdefault(truth.entity_id, []).append(place)
    return [found for found in places.values() if len(found) > 1]


PAIR, OTHER_PAIR = by_people()[0][:2], by_people()[1][:2]
TOLD = ["as it should be", "notifications_out_of_order", "duplicate_delivery", "paging_shift"]


@pytest.mark.parametrize("told", TOLD)
async def test_a_link_that_gets_another_id_keeps_its_person(
    verato: Verato, api: Api, told: str
) -> None:
    one, two = await registered(api, *PAIR)
    assert one["mpi_id"] == two["mpi_id"]
    assert (await match(api, ROWS[PAIR[0]]))["mpi_id"] == one["mpi_id"]
    fresh = verato.rename(one["provider_ids"]["verato"])
    if told in TOLD[1:]:
        verato.plan(told, "searchNotifications")
    await poll(api)
    assert await crosswalk(api, one["mpi_id"]) == {(SOURCE, str(n)) for n in PAIR}
    asked = await match(api, ROWS[PAIR[0]])
    assert (asked["mpi_id"], asked["served_from"]) == (one["mpi_id"], "provider")
    assert asked["provider_ids"]["verato"] == fresh
    before = len(await events(api))
    await poll(api)
    assert len(await events(api)) == before
    assert await tasks(api) == []


async def test_persons_that_become_one_there_become_one_here(verato: Verato, api: Api) -> None:
    first, _ = await registered(api, *PAIR)
    second, _ = await registered(api, *OTHER_PAIR)
    asked = await match(api, ROWS[OTHER_PAIR[0]])
    assert asked["mpi_id"] == second["mpi_id"] != first["mpi_id"]
    verato.link((SOURCE, str(PAIR[0])), (SOURCE, str(OTHER_PAIR[0])))
    await poll(api)
    everybody = {(SOURCE, str(n)) for n in (*PAIR, *OTHER_PAIR)}
    for mpi_id in (first["mpi_id"], second["mpi_id"]):
        assert await crosswalk(api, mpi_id) == everybody
    assert (await match(api, ROWS[OTHER_PAIR[0]]))["mpi_id"] == first["mpi_id"]
    merged = [event for event in await events(api) if event["kind"] == "merged"]
    assert [event["actor"] for event in merged] == ["verato"]
    undone = await api.client.post(f"/mpi/events/{merged[0]['event_id']}/undo", json=ACTOR)
    assert undone.status_code == 200, undone.text
    assert await crosswalk(api, second["mpi_id"]) == {(SOURCE, str(n)) for n in OTHER_PAIR}


async def test_a_record_that_is_taken_out_there_leaves_here(verato: Verato, api: Api) -> None:
    one, _ = await registered(api, *PAIR)
    stays, leaves = map(str, PAIR)
    verato.unlink((SOURCE, stays), (SOURCE, leaves))
    await poll(api)
    assert await crosswalk(api, one["mpi_id"]) == {(SOURCE, stays)}
    apart = await holder(api, leaves)
    assert await crosswalk(api, apart) == {(SOURCE, leaves)}
    assert apart != one["mpi_id"]
    moved = (await events(api))[-1]
    assert (moved["kind"], moved["actor"]) == ("moved", "verato")
    verato.link((SOURCE, stays), (SOURCE, leaves))
    await poll(api)
    assert await holder(api, leaves) == one["mpi_id"]
    assert await crosswalk(api, apart) == {(SOURCE, stays), (SOURCE, leaves)}


async def test_several_changes_are_followed_in_one_poll(
    verato: Verato, tmp_path: Path, place: dict[str, str]
) -> None:
    async with serving(tmp_path, **settings(verato, **place)) as api:
        await follows_several_changes(verato, api)


async def follows_several_changes(verato: Verato, api: Api) -> None:
    await poll(api)
    one, _ = await registered(api, *PAIR)
    other, _ = await registered(api, *OTHER_PAIR)
    verato.unlink((SOURCE, str(PAIR[0])), (SOURCE, str(PAIR[1])))
    verato.link((SOURCE, str(OTHER_PAIR[0])), (SOURCE, str(PAIR[1])))
    verato.rename(one["provider_ids"]["verato"])
    verato.rename(verato.link_of((SOURCE, str(PAIR[1]))))
    for fault in ("notifications_out_of_order", "duplicate_delivery"):
        verato.plan(fault, "searchNotifications")
    await poll(api)
    assert await crosswalk(api, one["mpi_id"]) == {(SOURCE, str(PAIR[0]))}
    assert await crosswalk(api, other["mpi_id"]) == {
        (SOURCE, str(n)) for n in (*OTHER_PAIR, PAIR[1])
    }
    assert await tasks(api) == []


async def test_people_have_parted_what_verato_joins(verato: Verato, api: Api) -> None:
    (one,) = await registered(api, PAIR[0])
    (other,) = await registered(api, OTHER_PAIR[0])
    pair = [[SOURCE, str(PAIR[0])], [SOURCE, str(OTHER_PAIR[0])]]
    apart = {"kind": "not-same", "records": pair, **ACTOR}
    assert (await api.client.post("/mpi/assertions", json=apart)).status_code == 200
    await poll(api)
    verato.link((SOURCE, str(PAIR[0])), (SOURCE, str(OTHER_PAIR[0])))
    for _ in range(2):
        await poll(api)
    assert await holder(api, str(OTHER_PAIR[0])) == other["mpi_id"] != one["mpi_id"]
    (task,) = await tasks(api)
    assert (task["kind"], task["reason"]) == ("merge", "joined_elsewhere")


async def test_people_have_joined_what_verato_parts(verato: Verato, api: Api) -> None:
    one, other = await registered(api, PAIR[0], OTHER_PAIR[0])
    survivor, gone = sorted((one["mpi_id"], other["mpi_id"]))
    merge = {"retire": gone, **ACTOR}
    done = await api.client.post(f"/mpi/persons/{survivor}/merge", json=merge)
    assert done.status_code == 200, done.text
    await poll(api)  # tells Verato, and hears of it
    keys = (SOURCE, str(PAIR[0])), (SOURCE, str(OTHER_PAIR[0]))
    assert verato.link_of(keys[0]) == verato.link_of(keys[1])
    verato.unlink(*keys)
    for _ in range(2):
        await poll(api)
    assert await holder(api, str(OTHER_PAIR[0])) == survivor
    (task,) = await tasks(api)
    assert (task["kind"], task["reason"]) == ("update", "parted_elsewhere")


async def joined_in_a_chain(verato: Verato, api: Api) -> tuple[str, list[tuple[str, str]]]:
    """Three strangers: people join the later two, and Verato those with the oldest. The one person, and who that is."""
    places = (PAIR[0], OTHER_PAIR[0], by_people()[2][0])
    first, second, third = await registered(api, *places)
    keys = [(SOURCE, str(place)) for place in places]
    merge = {"retire": third["mpi_id"], **ACTOR}
    done = await api.client.post(f"/mpi/persons/{second['mpi_id']}/merge", json=merge)
    assert done.status_code == 200, done.text
    await poll(api)
    verato.link(keys[0], keys[1])
    await poll(api)
    assert await crosswalk(api, first["mpi_id"]) == set(keys)
    return first["mpi_id"], keys


async def test_people_have_joined_what_verato_parts_after_it_joined_them_with_another(
    verato: Verato, api: Api
) -> None:
    person, keys = await joined_in_a_chain(verato, api)
    verato.unlink(keys[1], keys[2])
    for _ in range(2):
        await poll(api)
    assert await crosswalk(api, person) == set(keys)
    (task,) = await tasks(api)
    assert (task["kind"], task["reason"]) == ("update", "parted_elsewhere")


async def test_whom_only_verato_joined_with_those_whom_people_joined_leaves(
    verato: Verato, api: Api
) -> None:
    person, keys = await joined_in_a_chain(verato, api)
    verato.unlink(keys[1], keys[0])
    for _ in range(2):
        await poll(api)
    assert await crosswalk(api, person) == {*keys[1:]}
    assert await tasks(api) == []


async def test_while_verato_is_away_nothing_is_missed(verato: Verato, api: Api) -> None:
    one, _ = await registered(api, *PAIR)
    verato.unlink((SOURCE, str(PAIR[0])), (SOURCE, str(PAIR[1])))
    verato.plan("503", times=None)
    await poll(api)
    assert len(await crosswalk(api, one["mpi_id"])) == 2
    verato.clear()
    await poll(api)
    assert len(await crosswalk(api, one["mpi_id"])) == 1


async def test_a_reserved_id_follows_its_link(verato: Verato, api: Api, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with serving(tmp_path / "other", **settings(verato)) as other:
        link = (await match(other, ROWS[1], "1"))["provider_ids"]["verato"]
    mpi_id = (await match(api, ROWS[1]))["mpi_id"]
    fresh = link
    for _ in range(2):
        fresh = verato.rename(fresh)
        await poll(api)
        found = await match(api, ROWS[1])
        assert (found["mpi_id"], found["provider_ids"]["verato"]) == (mpi_id, fresh)
    record = await api.parts.store.record(RecordKey("verato", link))
    assert record is not None
    assert record.mpi_id == mpi_id
    assert (await match(api, ROWS[1], "9", source="CLINIC"))["mpi_id"] == mpi_id
    before = len(await events(api))
    await poll(api)
    assert len(await events(api)) == before


async def test_a_reserved_id_follows_its_link_with_our_own_matching_too(
    verato: Verato, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    async with serving(tmp_path / "other", **settings(verato)) as other:
        link = (await match(other, ROWS[1], "1"))["provider_ids"]["verato"]
    async with serving(tmp_path, **settings(verato)) as api:
        mpi_id = (await match(api, ROWS[1]))["mpi_id"]
    hybrid = settings(verato, MPI_PROVIDER="hybrid", MPI_HYBRID_STRATEGY="verato_first")
    async with serving(tmp_path, **hybrid) as api:
        await poll(api)
        fresh = verato.rename(link)
        await poll(api)
        record = await api.parts.store.record(RecordKey("verato", link))
        assert record is not None
        assert links.link_key(fresh) in record.blocking_keys
        assert (await match(api, ROWS[1], "9", source="CLINIC"))["mpi_id"] == mpi_id


def stored_before_there_were_rich_ones(record: StandardRecord) -> tuple[int, ...]:
    """Every record lay in the common place under its coarse keys."""
    asked = {key for key, _ in blocking_keys(record)}
    return tuple(
        key if key in asked or key ^ 1 not in asked else key ^ 1 for key in stored_keys(record)
    )


async def test_records_stored_under_earlier_keys_have_not_moved(
    verato: Verato, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie under other numbers than today's code would give them, and under the same link."""
    with monkeypatch.context() as earlier:
        for module in (preparation, links):
            earlier.setattr(module, "stored_keys", stored_before_there_were_rich_ones)
        await registered(api, *PAIR)
    await poll(api)
    keys = [RecordKey(SOURCE, str(number)) for number in PAIR]
    held = [await api.parts.store.record(key) for key in keys]
    assert any(r and not set(stored_keys(r.standard)) <= set(r.blocking_keys) for r in held)
    before = await events(api)
    await api.parts.store.queue([Errand(ErrandKind.FOLLOW, (key,)) for key in keys])
    await poll(api)
    assert (await events(api), await tasks(api)) == (before, [])
