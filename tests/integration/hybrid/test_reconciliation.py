"""What Verato could not be asked in time it is asked after all, once, and every consequence is an event."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mpi.domain.errand import Errand
from mpi.domain.record import RecordKey
from tests.support.api import Api, serving
from tests.support.hybrid import CLEAR, MADE, POSSIBLE, PROBABLE, TWINS, VETOED, hybrid, reconcile
from tests.support.verato import Verato
from tests.support.verato_service import match

Pair = tuple[dict[str, str], dict[str, str]]


async def provisional(api: Api, verato: Verato, pair: Pair) -> tuple[str, str]:
    """Both registrations of a pair, the second while Verato is away: their ids."""
    first = await match(api, pair[0], "1")
    verato.plan("503", times=None)
    second = await match(api, pair[1], "2")
    assert second["provisional"]
    verato.control.delete("/__sim/faults")
    return first["mpi_id"], second["mpi_id"]


async def open_tasks(api: Api) -> list[str]:
    found = (await api.client.get("/mpi/tasks", params={"status": "open"})).json()["tasks"]
    return [task["reason"] for task in found]


async def kinds(api: Api) -> list[tuple[str, str]]:
    events = (await api.client.get("/mpi/events")).json()["events"]
    return [(event["kind"], event["actor"]) for event in events]


@pytest.mark.parametrize("pair", [PROBABLE, POSSIBLE], ids=["probable", "possible"])
async def test_a_provisional_person_becomes_an_alias_of_whom_verato_says(
    verato: Verato, tmp_path: Path, pair: Pair
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first, second = await provisional(api, verato, pair)
        posted = verato.calls("postIdentity")
        assert await reconcile(api) == 1
        person = (await api.client.get(f"/mpi/persons/{second}")).json()
        assert (person["mpi_id"], person["requested_mpi_id"]) == (first, second)
        assert await open_tasks(api) == []
        assert (await kinds(api))[-3:] == [
            ("updated", "verato"),
            ("updated", "verato"),
            ("merged", "verato"),
        ]
        assert verato.calls("postIdentity") == posted + 2
        assert verato.applied("postIdentity") == 2
        # Nothing is asked twice: neither by the errand nor by a replay.
        again = await match(api, pair[1], "2")
        assert (again["mpi_id"], again["provisional"]) == (first, False)
        assert await reconcile(api) == 0
        assert verato.calls("postIdentity") == posted + 2


async def test_whom_verato_knows_apart_keeps_the_id_and_nobody_has_to_decide(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first, second = await provisional(api, verato, TWINS)
        assert await open_tasks(api) == ["vetoed"] or await open_tasks(api) == ["uncertain"]
        await reconcile(api)
        assert await open_tasks(api) == []
        for mpi_id in (first, second):
            person = (await api.client.get(f"/mpi/persons/{mpi_id}")).json()
            assert person["mpi_id"] == mpi_id


async def test_a_veto_stays_a_question(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        _, second = await provisional(api, verato, VETOED)
        before = await open_tasks(api)
        await reconcile(api)
        assert await open_tasks(api) == before
        assert (await api.client.get(f"/mpi/persons/{second}")).json()["mpi_id"] == second


async def test_people_who_were_quicker_are_right(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first, second = await provisional(api, verato, PROBABLE)
        (task,) = (await api.client.get("/mpi/tasks")).json()["tasks"]
        decided = await api.client.post(
            f"/mpi/tasks/{task['task_id']}/decide", json={"outcome": "not-same", "reason": "known"}
        )
        assert decided.status_code == 200, decided.text
        await reconcile(api)
        for mpi_id in (first, second):
            person = (await api.client.get(f"/mpi/persons/{mpi_id}")).json()
            assert person["mpi_id"] == mpi_id


async def test_an_errand_without_an_answer_stays(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        await provisional(api, verato, PROBABLE)
        verato.plan("503", times=None)
        assert await reconcile(api) == 1
        (waiting,) = await api.parts.store.waiting()
        assert waiting.count == 1


@pytest.mark.parametrize("strategy", ["grey_zone", "verato_first"])
async def test_a_replay_is_provisional_until_verato_has_answered(
    verato: Verato, tmp_path: Path, strategy: str
) -> None:
    async with serving(tmp_path, **hybrid(verato, strategy)) as api:
        _, second = await provisional(api, verato, PROBABLE)
        again = await match(api, PROBABLE[1], "2")
        assert (again["mpi_id"], again["event_id"], again["provisional"]) == (second, None, True)
        await reconcile(api)
        assert not (await match(api, PROBABLE[1], "2"))["provisional"]


async def test_a_replay_of_what_is_only_fed_is_not_provisional(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, MPI_HYBRID_FEED="all")) as api:
        for _ in range(2):
            assert not (await match(api, CLEAR[0], "1"))["provisional"]
        assert len(await api.parts.store.waiting()) == 1


async def test_an_errand_that_could_not_be_asked_has_not_failed(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, VERATO_BREAKER_CALLS="1")) as api:
        await provisional(api, verato, PROBABLE)  # which opens the breaker
        posted = verato.calls("postIdentity")
        assert await reconcile(api) == 1
        (waiting,) = await api.parts.store.waiting()
        await api.parts.store.queue([Errand(waiting.kind, (RecordKey("HOSP-A", "2"),))])
        (leased,) = await api.parts.store.due(timedelta(0))
        assert (leased.attempts, leased.reason) == (0, "unavailable")
        assert verato.calls("postIdentity") == posted


async def test_errands_that_doubt_each_other_tell_of_each_registration_once(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        await provisional(api, verato, PROBABLE)
        (waiting,) = await api.parts.store.waiting()
        await api.parts.store.queue([Errand(waiting.kind, (RecordKey("HOSP-A", "1"),))])
        assert await reconcile(api) == 2
        assert await api.parts.store.waiting() == ()
        assert verato.applied("postIdentity") == 2


async def test_rows_of_one_batch_that_are_grey_to_each_other_are_settled_later(
    verato: Verato, tmp_path: Path
) -> None:
    rows = [{**row, "source": "HOSP-A", "source_id": str(n)} for n, row in enumerate(PROBABLE)]
    async with serving(tmp_path, **hybrid(verato)) as api:
        patients = [{k: v for k, v in row.items() if v} for row in rows]
        answer = await api.client.post("/mpi/batch", json={"patients": patients})
        one, other = answer.json()["results"]
        assert (one["provisional"], other["provisional"]) == (False, True)
        await reconcile(api)
        person = (await api.client.get(f"/mpi/persons/{other['mpi_id']}")).json()
        assert person["mpi_id"] == one["mpi_id"]


async def test_what_was_clear_follows_where_all_is_to_be_fed(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, MPI_HYBRID_FEED="all")) as api:
        for number, row in enumerate((*CLEAR, MADE[2])):
            found = await match(api, row, str(number))
            assert not found["provisional"]
            assert verato.calls("postIdentity") == number
            assert await reconcile(api) == 1
        assert verato.state()["registrations"] == 3
        assert verato.applied("postIdentity") == 3
        text = (await api.client.get("/metrics")).text
    assert 'mpi_hybrid_opinions_total{internal="same",verato="same"} 1.0' in text


async def test_a_shadow_changes_nothing_and_compares(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **hybrid(verato, "shadow")) as api:
        found = [await match(api, row, str(n)) for n, row in enumerate((*PROBABLE, *VETOED))]
        assert [each["status"] for each in found] == ["created", "review", "created", "review"]
        tasks = await open_tasks(api)
        assert await reconcile(api) == 4
        for each in found:
            person = (await api.client.get(f"/mpi/persons/{each['mpi_id']}")).json()
            assert person["mpi_id"] == each["mpi_id"]
        assert await open_tasks(api) == tasks
        text = (await api.client.get("/metrics")).text
    assert 'mpi_hybrid_opinions_total{internal="undecided",verato="same"}' in text
