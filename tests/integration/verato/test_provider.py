"""A service whose identities Verato resolves: over the whole application, a real index and a simulated Verato."""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mpi.demo.verato.certificates import Authority
from mpi.errors import ConfigurationError
from tests.support.api import serving
from tests.support.sentinels import MARK, SSN, assert_clean
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_service import IMPATIENT, body, match, settings

MADE = registrations(300)
ROW = MADE[1][0]


async def told_elsewhere(verato: Verato, folder: Path) -> str:
    """Verato learns of the patient from somebody else; the link id that it gives."""
    (folder / "other").mkdir()
    async with serving(folder / "other", **settings(verato)) as other:
        link: str = (await match(other, ROW, "1"))["provider_ids"]["verato"]
        return link


async def test_persons_are_those_of_verato_and_their_ids_ours(
    verato: Verato, tmp_path: Path
) -> None:
    people: dict[str, set[str]] = defaultdict(set)
    async with serving(tmp_path, **settings(verato)) as api:
        for number, (row, truth) in enumerate(MADE[:60]):
            found = await match(api, row, str(number))
            people[truth.entity_id].add(found["mpi_id"])
            assert found["mpi_id"].startswith("MPI-")
            assert found["provider_ids"]["verato"] is not None
            assert (found["confidence"], found["match_weight"]) == (None, None)
            assert found["grade"] == ("certain" if found["status"] == "matched" else None)
    assert all(len(ids) == 1 for ids in people.values())
    assert len(set().union(*people.values())) == len(people) < 60


async def test_a_query_asks_once_and_is_then_remembered(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        mpi_id = (await match(api, ROW, "1"))["mpi_id"]
        answers = await asyncio.gather(*(match(api, ROW) for _ in range(1000)))
        assert {answer["mpi_id"] for answer in answers} == {mpi_id}
        assert {answer["grade"] for answer in answers} == {"certain"}
        assert verato.calls("demographicsQuery") == 1
        assert (await match(api, ROW))["served_from"] == "memory"
        assert (await match(api, ROW))["provider_ids"] == answers[0]["provider_ids"]


async def test_nobody_is_asked_for_anew_and_found_once_registered(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        for _ in range(2):
            found = await match(api, ROW)
            assert (found["status"], found["provider_ids"]["verato"]) == ("no_match", None)
        assert verato.calls("demographicsQuery") == 2
        mpi_id = (await match(api, ROW, "1"))["mpi_id"]
        assert (await match(api, ROW))["mpi_id"] == mpi_id


async def test_whom_only_verato_knows_gets_one_id_that_stays(
    verato: Verato, tmp_path: Path
) -> None:
    link = await told_elsewhere(verato, tmp_path)
    async with serving(tmp_path, **settings(verato)) as api:
        query = body(ROW) | {"explain": True}  # asks each time
        posted = await asyncio.gather(
            *(api.client.post("/mpi/match", json=query) for _ in range(20))
        )
        answers = [answer.json() for answer in posted]
        (mpi_id,) = {answer["mpi_id"] for answer in answers}
        assert mpi_id.startswith("MPI-")
        assert {(each["status"], each["grade"]) for each in answers} == {("matched", "certain")}
        assert {each["provider_ids"]["verato"] for each in answers} == {link}
        (event,) = (await api.client.get("/mpi/events")).json()["events"]
        assert (event["actor"], event["persons"]) == ("verato", [mpi_id])
        assert (await match(api, ROW, "1", source="CLINIC"))["mpi_id"] == mpi_id
        assert (await match(api, ROW))["mpi_id"] == mpi_id
        person = (await api.client.get(f"/mpi/persons/{mpi_id}")).json()
    assert sorted(record["source"] for record in person["records"]) == ["CLINIC", "verato"]
    assert person["golden_record"]["names"][0]["family"] == ROW["last_name"]


async def test_a_search_ranks_whom_verato_takes_into_account(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        persons = {
            (await match(api, row, str(n)))["mpi_id"] for n, (row, _) in enumerate(MADE[:40])
        }
        own = (await match(api, ROW))["mpi_id"]
        before = len((await api.client.get("/mpi/events?limit=500")).json()["events"])
        found = (await api.client.post("/mpi/search", json=body(ROW))).json()["candidates"]
        assert found[0]["mpi_id"] == own
        assert (found[0]["grade"], found[0]["vetoes"]) == ("certain", [])
        assert {each["mpi_id"] for each in found} <= persons
        scores = [each["provider_score"] for each in found]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score <= 1 for score in scores)
        assert {(each["match_weight"], each["confidence"]) for each in found} == {(None, None)}
        one = await api.client.post("/mpi/search", json=body(ROW) | {"limit": 1})
        assert one.json()["candidates"] == found[:1]
        assert len((await api.client.get("/mpi/events?limit=500")).json()["events"]) == before
        verato.plan("503", times=None)
        assert (await api.client.post("/mpi/search", json=body(ROW))).status_code == 503
    assert verato.calls("demographicsSearch") >= 3


async def test_a_search_reserves_nothing(verato: Verato, tmp_path: Path) -> None:
    await told_elsewhere(verato, tmp_path)
    async with serving(tmp_path, **settings(verato)) as api:
        found = await api.client.post("/mpi/search", json=body(ROW))
        assert found.json()["candidates"] == []
        assert (await api.client.get("/mpi/events")).json()["events"] == []


async def test_what_verato_said_stays_with_the_event(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        found = await match(api, ROW, "1")
        (event,) = (await api.client.get("/mpi/events")).json()["events"]
    told = event["detail"]["told"]
    assert told["provider"] == "verato"
    assert told["outcome"] == "linked"
    assert told["link_id"] == found["provider_ids"]["verato"]
    assert told["tracking_id"]
    assert told["audit_id"]


async def test_what_is_known_is_not_told_again(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        first = await match(api, ROW, "1")
        again = await match(api, ROW, "1")
        assert (again["mpi_id"], again["event_id"]) == (first["mpi_id"], None)
        older = body(ROW | {"city": "Elsewhere"}, "1") | {"recorded_at": "1999-01-01T00:00:00Z"}
        assert (await api.client.post("/mpi/match", json=older)).status_code == 200
        anonymous = body(ROW) | {"enroll": True}
        assert (await api.client.post("/mpi/match", json=anonymous)).status_code == 200
    assert verato.calls("postIdentity") == 1


FAULTS = {
    "503": "server_error",
    "401": "wrong_password",
    "hang": "too_slow",
    "429_text": "rate_limit",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_verato_nothing_is_stored_and_it_says_so(
    verato: Verato, tmp_path: Path, fault: str
) -> None:
    async with serving(tmp_path, **settings(verato, **IMPATIENT)) as api:
        known = await match(api, ROW, "1")
        await match(api, ROW)
        verato.plan(fault, times=None)
        answer = await api.client.post("/mpi/match", json=body(MADE[2][0], "2"))
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")
        assert answer.json()["reason"] in {FAULTS[fault], "breaker_open", "own_limit"}
        assert int(answer.headers["retry-after"]) >= 1
        assert (await match(api, ROW))["mpi_id"] == known["mpi_id"]  # remembered
        assert (await api.parts.index.statistics())["records"] == 1
        ready = await api.client.get("/health/ready")
        for _ in range(10):  # the probe may still be on its way
            ready = await api.client.get("/health/ready")
            if ready.json()["status"] != "ok":
                break
            await asyncio.sleep(0.5)
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        part = ready.json()["parts"]["verato"]
        assert (part["critical"], part["code"]) == (False, "provider_unavailable")
        assert "VERATO_" in part["detail"] or "ask Verato" in part["detail"]


@pytest.mark.parametrize("name", ["VERATO_TIMEOUT_TOTAL", "VERATO_BATCH_TIMEOUT_TOTAL"])
async def test_a_call_that_may_not_even_connect_stops_the_start(
    verato: Verato, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be at least VERATO_TIMEOUT_CONNECT"):
        async with serving(tmp_path, **settings(verato, **{name: "1.9"})):
            pass


async def test_another_patient_on_a_known_number_waits_for_a_steward(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        await match(api, ROW, "1")
        verato.plan("overlay", "postIdentity")
        found = await match(api, ROW | {"city": "Elsewhere"}, "1")
        assert (found["status"], found["provisional"]) == ("review", True)
        (task,) = (await api.client.get("/mpi/tasks")).json()["tasks"]
        assert (task["task_id"], task["kind"]) == (found["task_id"], "overlay")


async def test_a_refused_registration_fails_alone(verato: Verato, tmp_path: Path) -> None:
    rows = [
        {**body(row)["patient_data"], "source_id": str(n)} for n, (row, _) in enumerate(MADE[:6])
    ]
    async with serving(tmp_path, **settings(verato)) as api:
        verato.plan("success_false:A rule is broken", "postIdentity")
        answer = await api.client.post("/mpi/batch", json={"patients": rows, "source": SOURCE})
        results = answer.json()["results"]
        codes = [result.get("code") for result in results]
        assert codes.count("provider_refusal") == 1
        assert codes.count(None) == 5
        assert (await api.parts.index.statistics())["records"] == 5
        again = await api.client.post("/mpi/batch", json={"patients": rows, "source": SOURCE})
        assert all("code" not in result for result in again.json()["results"])
        assert verato.calls("postIdentity") == 7


async def test_a_batch_that_lets_others_in_between_tells_verato_each_row_once(
    verato: Verato, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpi.service.index.LONGEST_GROUP_S", 0)
    rows = [
        {**body(row)["patient_data"], "source_id": str(n)} for n, (row, _) in enumerate(MADE[:6])
    ]
    async with serving(tmp_path, **settings(verato)) as api:
        answer = await api.client.post("/mpi/batch", json={"patients": rows, "source": SOURCE})
        assert all(result["provider_ids"]["verato"] for result in answer.json()["results"])
        assert verato.calls("postIdentity") == 6


async def test_people_outrank_verato(verato: Verato, tmp_path: Path) -> None:
    mary = MADE[1][0]
    async with serving(tmp_path, **settings(verato)) as api:
        first = await match(api, mary, "1")
        joined = await match(api, mary, "2")
        assert joined["mpi_id"] == first["mpi_id"]
        undone = await api.client.post(
            f"/mpi/events/{joined['event_id']}/undo", json={"reason": "two patients"}
        )
        assert undone.status_code == 200
        moved = await match(api, mary | {"city": "Elsewhere"}, "2")
        assert moved["mpi_id"] != first["mpi_id"]
        assert moved["status"] == "review"


async def test_registrations_of_one_person_at_once_make_one_person(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        found = await asyncio.gather(*(match(api, ROW, str(number)) for number in range(20)))
        assert len({each["mpi_id"] for each in found}) == 1


async def test_no_id_changes_when_our_own_matching_takes_over(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **settings(verato)) as api:
        before = [(await match(api, row, str(n)))["mpi_id"] for n, (row, _) in enumerate(MADE[:40])]
    async with serving(tmp_path) as api:
        after = [(await match(api, row, str(n)))["mpi_id"] for n, (row, _) in enumerate(MADE[:40])]
        assert await api.parts.store.statistics()
    assert before == after


async def test_metrics_tell_of_the_breaker_the_queue_and_the_certificate(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **settings(verato, VERATO_BREAKER_CALLS="2")) as api:
        await match(api, ROW, "1")
        before = (await api.client.get("/metrics")).text
        verato.plan("503", times=None)
        await asyncio.gather(
            *(api.client.post("/mpi/match", json=body(MADE[n][0], str(n))) for n in range(2, 8))
        )
        after = (await api.client.get("/metrics")).text
    assert "mpi_provider_open 0.0" in before
    assert "mpi_provider_open 1.0" in after
    assert "mpi_provider_calls_waiting 0.0" in after
    (line,) = re.findall(r"(?m)^mpi_provider_certificate_ends_seconds (\S+)", after)
    assert float(line) > time.time()


async def test_metrics_tell_operations_and_outcomes_and_nothing_of_patients(
    verato: Verato, tmp_path: Path
) -> None:
    patient = {"last_name": f"{MARK}son", "first_name": MARK, "dob": "1950-01-02", "ssn": SSN}
    async with serving(tmp_path, **settings(verato)) as api:
        await match(api, patient, f"{MARK}-1")
        await match(api, patient)
        text = (await api.client.get("/metrics")).text
    called = 'mpi_provider_calls_total{operation="postIdentity",outcome="linked"} 1.0'
    assert called in text
    assert_clean(text, "metrics")
    assert_clean(str(verato.state()), "the simulator's counts")


@pytest.mark.parametrize(("days", "code"), [(29, "certificate_expiring"), (31, None)])
async def test_a_certificate_that_expires_within_a_month_is_told_of(
    verato: Verato, tmp_path: Path, days: int, code: str | None
) -> None:
    key, certificate = Authority(datetime.now(UTC)).client(datetime.now(UTC) + timedelta(days=days))
    pem, pem_key = tmp_path / "client.pem", tmp_path / "client.key"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    pem_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files = {"VERATO_CLIENT_CERT_FILE": str(pem), "VERATO_CLIENT_KEY_FILE": str(pem_key)}
    async with serving(tmp_path, **(settings(verato) | files)) as api:
        ready = await api.client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["parts"]["certificate"]["code"] == code


@pytest.mark.parametrize("more", [{}, {"MPI_PROVIDER": "hybrid"}], ids=["verato", "hybrid"])
async def test_a_source_that_goes_by_the_name_of_another_is_refused(
    verato: Verato, tmp_path: Path, more: dict[str, str]
) -> None:
    sources = '{"CLINIC": "HOSP-B"}'
    async with serving(tmp_path, **settings(verato, VERATO_SOURCE_MAP=sources, **more)) as api:
        assert (await match(api, ROW, "1", source="CLINIC"))["mpi_id"]
        answer = await api.client.post("/mpi/match", json=body(ROW, "1", source="HOSP-B"))
        assert (answer.status_code, answer.json()["code"]) == (422, "provider_refusal")
        assert "VERATO_SOURCE_MAP" in answer.json()["detail"]
