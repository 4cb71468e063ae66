"""Our own matching decides what is clear, Verato what is grey."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.record import RecordKey
from mpi.matching.blocking import keys_beside
from tests.support.api import Api, serving
from tests.support.hybrid import (
    CLEAR,
    POSSIBLE,
    PROBABLE,
    STRANGERS,
    TWINS,
    VETOED,
    hybrid,
    reconcile,
)
from tests.support.verato import SOURCE, Verato
from tests.support.verato_service import match


async def tasks(api: Api) -> list[dict[str, object]]:
    found = (await api.client.get("/mpi/tasks", params={"status": "open"})).json()["tasks"]
    return list(found)


async def test_what_is_clear_needs_no_verato(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first = await match(api, CLEAR[0], "1")
        second = await match(api, CLEAR[1], "2")
        other = await match(api, PROBABLE[0], "3")
        asked = await match(api, CLEAR[1])
    assert (first["status"], other["status"]) == ("created", "created")
    assert second["mpi_id"] == asked["mpi_id"] == first["mpi_id"]
    assert second["grade"] == "certain"
    assert second["confidence"] > 0.9
    assert {each["provider"] for each in (first, second, other, asked)} == {"hybrid"}
    assert {each["provisional"] for each in (first, second, other, asked)} == {False}
    assert verato.state()["calls"] == {}


@pytest.mark.parametrize("pair", [PROBABLE, POSSIBLE], ids=["probable", "possible"])
async def test_whom_verato_takes_for_one_person_is_one(
    verato: Verato, tmp_path: Path, pair: tuple[dict[str, str], dict[str, str]]
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first = await match(api, pair[0], "1")
        second = await match(api, pair[1], "2")
        assert (second["status"], second["mpi_id"]) == ("matched", first["mpi_id"])
        assert (second["grade"], second["confidence"]) == ("certain", None)
        assert second["match_weight"] < 5.5
        assert second["provider_ids"]["verato"]
        assert verato.applied("postIdentity") == 2
        assert await tasks(api) == []
        # Nobody is posted twice, and what became clear is not posted at all.
        again = await match(api, pair[1], "3", source="CLINIC")
        assert (again["status"], again["mpi_id"]) == ("matched", first["mpi_id"])
        assert verato.applied("postIdentity") == 2


def undated(row: dict[str, str]) -> dict[str, str]:
    """Registered now, after whatever was registered before."""
    return row | {"recorded_at": ""}


async def told(api: Api, row: dict[str, str], number: str) -> None:
    """Registered, and known to Verato however clear it is."""
    await match(api, row, number)
    await api.parts.store.queue([Errand(ErrandKind.POST, (RecordKey(SOURCE, number),))])
    await reconcile(api)


async def test_what_verato_said_before_a_deletion_is_about_nobody(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        await told(api, undated(STRANGERS[0]), "1")
        assert (await api.client.delete(f"/mpi/records/{SOURCE}/1")).status_code == 200
        first = await match(api, undated(PROBABLE[0]), "1")
        second = await match(api, PROBABLE[1], "2")
        await reconcile(api)
        one, other = [await api.parts.store.record(RecordKey(SOURCE, n)) for n in "12"]
        assert first["status"] == "created"
        # Verato keeps who had the number, so it says nothing of the two, and a steward is asked.
        assert second["status"] == "review"
        assert one is not None
        assert other is not None
        assert not set(keys_beside(one)) & set(keys_beside(other))
        opinions = (await api.client.get("/metrics")).text
        assert 'verato="different"' not in opinions


async def test_whom_verato_knows_apart_is_somebody_new_and_nobodys_task(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first = await match(api, TWINS[0], "1")
        second = await match(api, TWINS[1], "2")
        assert second["status"] == "created"
        assert second["mpi_id"] != first["mpi_id"]
        assert await tasks(api) == []
        far = await match(api, STRANGERS[0], "3"), await match(api, STRANGERS[1], "4")
        assert [each["status"] for each in far] == ["created", "created"]


async def test_a_veto_against_veratos_word_is_a_stewards_question(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first = await match(api, VETOED[0], "1")
        second = await match(api, VETOED[1], "2")
        assert second["status"] == "review"
        (task,) = await tasks(api)
        assert task["candidates"] == [first["mpi_id"]]
        assert task["reason"] == "verato_links_what_is_vetoed"


async def test_a_query_asks_and_posts_nobody(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first = await match(api, PROBABLE[0], "1")
        asked = await match(api, PROBABLE[1])
        assert (asked["status"], asked["mpi_id"]) == ("review", None)
        assert verato.state()["calls"] == {}  # who is unknown there cannot be told about there
        await match(api, PROBABLE[1], "2")
        events = (await api.client.get("/mpi/events")).json()["events"]
        other = PROBABLE[1] | {"phone": "", "phone2": "", "address": "1 Elm St", "zip": ""}
        asked = await match(api, other)
        assert verato.calls("demographicsQuery") <= 1
        assert (await api.client.get("/mpi/events")).json()["events"] == events
        assert asked["mpi_id"] in {None, first["mpi_id"]}


@pytest.mark.parametrize("fault", ["503", "401", "hang", "429_text", "malformed_json", "reset"])
async def test_without_an_answer_ours_counts_for_now(
    verato: Verato, tmp_path: Path, fault: str
) -> None:
    async with serving(tmp_path, **hybrid(verato, MPI_HYBRID_DEADLINE="0.6")) as api:
        first = await match(api, PROBABLE[0], "1")
        verato.plan(fault, times=None)
        second = await match(api, PROBABLE[1], "2")
        assert (second["status"], second["provisional"]) == ("review", True)
        assert second["mpi_id"] != first["mpi_id"]
        assert second["candidates"][0]["mpi_id"] == first["mpi_id"]
        (waiting,) = await api.parts.store.waiting()
        assert (waiting.kind, waiting.count) == ("post", 1)


async def test_what_verato_refuses_is_ours_to_decide_for_good(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        await match(api, PROBABLE[0], "1")
        verato.plan("success_false:no such source", "postIdentity", times=None)
        second = await match(api, PROBABLE[1], "2")
        assert (second["status"], second["provisional"]) == ("review", False)
        assert await api.parts.store.waiting() == ()
