"""What each row of the table does, and that none of them renames anybody."""

from __future__ import annotations

import asyncio
import csv
import json
import logging
from itertools import pairwise
from pathlib import Path

import pytest

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.record import RecordKey
from tests.support.api import Api, serving
from tests.support.hybrid import CLEAR, MADE, PROBABLE, TWINS, VETOED, hybrid, reconcile
from tests.support.sentinels import DOB, MARK, SSN, ZIP, assert_clean
from tests.support.service import run_mpi
from tests.support.verato import SOURCE, Verato
from tests.support.verato_service import body, match, settings

CALLS = {  # for somebody new, for a certain match of it, and for a probable one of both
    "verato_first": (1, 1, 1),
    "internal_first": (1, 0, 2),
    "grey_zone": (0, 0, 3),
    "shadow": (0, 0, 0),
}


@pytest.mark.parametrize("strategy", CALLS)
async def test_whom_a_strategy_tells_of_whom(verato: Verato, tmp_path: Path, strategy: str) -> None:
    async with serving(tmp_path, **hybrid(verato, strategy)) as api:
        calls = [0]
        for source_id, row in (("1", PROBABLE[0]), ("2", PROBABLE[0]), ("3", PROBABLE[1])):
            await match(api, row | {"phone2": ""} if source_id == "2" else row, source_id)
            calls.append(verato.calls("postIdentity"))
    assert tuple(after - before for before, after in pairwise(calls)) == CALLS[strategy]


async def test_verato_first_goes_on_alone_when_verato_is_away(
    verato: Verato, tmp_path: Path
) -> None:
    verato.plan("503", times=None)
    async with serving(tmp_path, **hybrid(verato, "verato_first")) as api:
        found = [await match(api, row, str(n)) for n, row in enumerate(CLEAR)]
        assert [each["status"] for each in found] == ["created", "matched"]
        assert {each["provisional"] for each in found} == {True}
        assert found[1]["mpi_id"] == found[0]["mpi_id"]
        (waiting,) = await api.parts.store.waiting()
        assert waiting.count == 2


async def test_where_verato_has_the_word_a_certain_match_against_it_is_a_question(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, "verato_first")) as api:
        await match(api, CLEAR[0], "1")
        # Content that the simulator never saw is a stranger to it, whatever it looks like.
        other = CLEAR[0] | {"phone": "", "phone2": "", "email": "", "address": "1 Elm St"}
        second = await match(api, other, "2")
        assert second["status"] == "review"
        assert second["reason"] == "matching_and_verato_disagree"


async def test_people_outrank_both(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first = await match(api, PROBABLE[0], "1")
        joined = await match(api, PROBABLE[1], "2")
        assert joined["mpi_id"] == first["mpi_id"]
        undone = await api.client.post(
            f"/mpi/events/{joined['event_id']}/undo", json={"reason": "two patients"}
        )
        assert undone.status_code == 200, undone.text
        moved = await match(api, PROBABLE[1] | {"city": "Elsewhere"}, "2")
        assert moved["mpi_id"] != first["mpi_id"]


@pytest.mark.parametrize("strategy", ["verato_first", "internal_first", "grey_zone"])
async def test_what_a_steward_moved_out_and_verato_links_is_asked(
    verato: Verato, tmp_path: Path, strategy: str
) -> None:
    async with serving(tmp_path, **hybrid(verato, strategy, MPI_HYBRID_FEED="all")) as api:
        first = await match(api, PROBABLE[0], "1")
        assert (await match(api, PROBABLE[1], "2"))["mpi_id"] == first["mpi_id"]
        moving = {"to": "new", "reason": "two patients"}
        moved = await api.client.post(f"/mpi/records/{SOURCE}/2/move", json=moving)
        await reconcile(api)
        verato.link((SOURCE, "1"), (SOURCE, "2"))
        await api.parts.store.queue([Errand(ErrandKind.FOLLOW, (RecordKey(SOURCE, "2"),))])
        await reconcile(api)
        held = await api.parts.store.record(RecordKey(SOURCE, "2"))
        assert held is not None
        assert held.mpi_id == moved.json()["mpi_id"] != first["mpi_id"]
        (task,) = (await api.client.get("/mpi/tasks")).json()["tasks"]
        assert task["reason"] == "verato_links_what_people_parted"


@pytest.mark.parametrize("strategy", ["verato_first", "internal_first"])
async def test_a_veto_outranks_verato_wherever_it_has_the_word(
    verato: Verato, tmp_path: Path, strategy: str
) -> None:
    async with serving(tmp_path, **hybrid(verato, strategy)) as api:
        first = await match(api, VETOED[0], "1")
        second = await match(api, VETOED[1], "2")
        assert second["mpi_id"] != first["mpi_id"]
        assert (second["status"], second["reason"]) == ("review", "verato_links_what_is_vetoed")


async def test_a_query_asks_once_and_writes_nothing(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato, "verato_first")) as api:
        first = await match(api, PROBABLE[0], "1")
    async with serving(tmp_path, **hybrid(verato)) as api:
        _, key = await api.parts.access.issue("reader", {"read"})
        before = (await api.client.get("/mpi/events", headers=bearer(key))).json()
        answers = await asyncio.gather(
            *(
                api.client.post("/mpi/match", json=body(PROBABLE[1]), headers=bearer(key))
                for _ in range(1000)
            )
        )
        assert {answer.json()["mpi_id"] for answer in answers} == {first["mpi_id"]}
        assert {answer.json()["grade"] for answer in answers} == {"certain"}
        assert verato.state()["calls"] == {"postIdentity": 1, "demographicsQuery": 1}
        assert (await api.client.get("/mpi/events", headers=bearer(key))).json() == before


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_query_that_gets_no_answer_is_provisional_and_asked_again(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, "verato_first")) as api:
        first = await match(api, PROBABLE[0], "1")
    async with serving(tmp_path, **hybrid(verato)) as api:
        verato.plan("503", times=None)
        found = await match(api, PROBABLE[1])
        assert (found["status"], found["mpi_id"], found["provisional"]) == ("review", None, True)
        verato.control.delete("/__sim/faults")
        assert (await match(api, PROBABLE[1]))["mpi_id"] == first["mpi_id"]


async def test_no_id_changes_with_the_provider(verato: Verato, tmp_path: Path) -> None:
    rows = (*MADE[:12], *PROBABLE, *TWINS, *VETOED)

    async def ids(api: Api) -> list[str]:
        return [(await match(api, row, str(n)))["mpi_id"] for n, row in enumerate(rows)]

    async with serving(tmp_path, **settings(verato)) as api:
        before = await ids(api)
        await match(api, CLEAR[0])
    for strategy in ("grey_zone", "verato_first"):
        async with serving(tmp_path, **hybrid(verato, strategy)) as api:
            assert await ids(api) == before
            joined = await match(api, PROBABLE[1], f"more-{strategy}", source="CLINIC")
            assert joined["mpi_id"] in before
    async with serving(tmp_path) as api:
        assert await ids(api) == before


async def test_a_month_has_so_many_calls_and_then_ours_counts(
    verato: Verato, tmp_path: Path
) -> None:
    limited = hybrid(verato, "verato_first", MPI_HYBRID_MONTHLY_CALLS="3")
    text = ""
    for start in (0, 2, 4):  # also over restarts
        async with serving(tmp_path, **limited) as api:
            for number in (start, start + 1):
                found = await match(api, MADE[number], str(number))
                assert found["provisional"] is (number >= 3)
            text = (await api.client.get("/metrics")).text
    assert verato.calls("postIdentity") == 3
    assert "mpi_provider_calls_left 0.0" in text
    kept_back = 'mpi_provider_calls_total{operation="postIdentity",outcome="budget_spent"} 2.0'
    assert kept_back in text


async def test_calls_without_a_limit_are_never_told_as_spent(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, "verato_first")) as api:
        await match(api, MADE[0], "1")
        assert "mpi_provider_calls_left -1.0" in (await api.client.get("/metrics")).text


async def test_what_verato_said_of_pairs_can_be_learnt_from(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        for number, row in enumerate((*PROBABLE, *TWINS)):
            await match(api, row, str(number))
    where = {"MPI_SQLITE_PATH": str(tmp_path / "index.sqlite3")}
    file = tmp_path / "verdicts.csv"
    export = ("export", "verdicts", str(file), "--embedded", "--json")
    done = await asyncio.to_thread(run_mpi, tmp_path, *export, settings=where)
    assert json.loads(done.stdout) == {"rows": 2}, done.stderr
    with file.open() as rows:
        said = {
            (row["source_id_a"], row["source_id_b"]): row["same"] for row in csv.DictReader(rows)
        }
    assert said == {("1", "0"): "true", ("3", "2"): "false"}
    train = ("train", "--pairs", str(file), "--embedded")
    trained = await asyncio.to_thread(run_mpi, tmp_path, *train, settings=where)
    assert "1 labelled pairs are of one person" in trained.stderr


async def test_metrics_logs_and_counts_tell_nothing_of_patients(
    verato: Verato, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    patient = {"last_name": f"{MARK}son", "first_name": MARK, "dob": DOB, "ssn": SSN, "zip": ZIP}
    async with serving(tmp_path, **hybrid(verato, "internal_first")) as api:
        await match(api, patient, f"{MARK}-1")
        verato.plan("503", times=2)
        await match(api, patient | {"first_name": f"{MARK}a", "ssn": ""}, f"{MARK}-2")
        await match(api, patient | {"first_name": f"{MARK}b", "ssn": ""})
        await reconcile(api)
        text = (await api.client.get("/metrics")).text
        ready = (await api.client.get("/health/ready")).text
    for told in (text, ready, caplog.text, str(verato.state())):
        assert_clean(told, "what hybrid tells")


async def test_a_link_that_changes_at_verato_moves_nobody_of_whom_we_are_certain(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, MPI_HYBRID_FEED="all")) as api:
        ids = [(await match(api, row, str(n)))["mpi_id"] for n, row in enumerate(CLEAR)]
        await reconcile(api)
        key = RecordKey(SOURCE, "1")
        await api.parts.store.queue([Errand(ErrandKind.FOLLOW, (key,))])
        parted = {"unlinkFromSource": {"name": SOURCE, "id": "0"}}
        parted["source"] = {"name": SOURCE, "id": "1"}
        verato.server.simulated.tenant.perform("unlinkIdentities", parted, "v1")
        before = await api.parts.store.record(key)
        await reconcile(api)
        after = await api.parts.store.record(key)
    assert before is not None
    assert after is not None
    assert before.mpi_id == after.mpi_id == ids[0]
    assert set(before.blocking_keys) != set(after.blocking_keys)  # found by its new link
