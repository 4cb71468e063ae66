"""What every request meets: ids, limits, media types, errors, headers, metrics, documentation."""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response

from tests.support.api import Api, serving

SENTINEL = "ZQXSENTINEL"
JSON = {"content-type": "application/json"}
PATIENT = {"patient_data": {"first_name": "John", "last_name": "Smith", "dob": "1980-01-01"}}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, MPI_BODY_LIMIT="20000", MPI_BATCH_LIMIT="5") as found:
        yield found


def assert_problem(response: Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == response.headers["x-request-id"]
    assert SENTINEL not in response.text
    return body


async def test_every_answer_names_its_request_and_is_not_stored(api: Api) -> None:
    first = await api.client.post("/mpi/match", json=PATIENT)
    second = await api.client.get("/nowhere")
    assert first.json()["request_id"] == first.headers["x-request-id"]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["cache-control"] == second.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("9f86d081884c7d65", True),
        ("0188D8CA-7B5C-7CC1-9D2B-6C0F0A3D5E11", True),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        ("01HV3Z6X8K5Q2J7N4M9RBCDEFG", True),
        ("a" * 64, True),
        ("abc-123.X_y", False),
        ("MRN-0012345", False),
        ("424-19-7908", False),
        ("1234567890123456", False),
        ("12345678901234567890123456", False),
        ("RSSMRA80A01H501U", False),
        ("smith-john-19800102", False),
        ("a" * 65, False),
        ("John Smith", False),
        ("", False),
        ("x\ty", False),
    ],
)
async def test_a_request_id_is_kept_when_it_can_be_nobodys_number(
    api: Api, given: str, kept: bool
) -> None:
    response = await api.client.get("/health/live", headers={"x-request-id": given})
    assert (response.headers["x-request-id"] == given) is kept


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "malformed_body"),
        (b"\xff\xfe", 400, "malformed_body"),
        (b"[" * 5000, 400, "malformed_body"),
        (b'{"patient_data": {"a": NaN}}', 400, "malformed_body"),
        (b"[]", 422, "invalid_input"),
        (b"{}", 422, "invalid_input"),
        (b'{"patient_data": "ZQXSENTINEL"}', 422, "invalid_input"),
        (b'{"patient_data": {"zip": ["ZQXSENTINEL"]}}', 422, "invalid_input"),
        (b'{"patient_data": {}, "source": "ZQXSENTINEL"}', 422, "invalid_input"),
        (b'{"patient_data": {}, "enroll": "ZQXSENTINEL"}', 422, "invalid_input"),
    ],
)
async def test_bodies_that_cannot_be_used(api: Api, content: bytes, status: int, code: str) -> None:
    assert_problem(await api.client.post("/mpi/match", content=content, headers=JSON), status, code)


async def test_a_wrong_field_is_named_by_its_path(api: Api) -> None:
    body = {"patient_data": {"names": [{"given": [SENTINEL]}], "zip": True}}
    problem = assert_problem(await api.client.post("/mpi/match", json=body), 422, "invalid_input")
    assert {error["path"] for error in problem["errors"]} == {"names[0].given", "zip"}


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_other_media_types_are_refused(api: Api, media: str) -> None:
    response = await api.client.post("/mpi/match", content=b"{}", headers={"content-type": media})
    assert_problem(response, 415, "unsupported_media_type")


async def test_media_type_may_carry_a_charset(api: Api) -> None:
    header = {"content-type": "application/json; charset=utf-8"}
    response = await api.client.post("/mpi/match", content=b'{"patient_data": {}}', headers=header)
    assert response.status_code == 200


async def test_packed_bodies_are_refused(api: Api) -> None:
    header = JSON | {"content-encoding": "gzip"}
    response = await api.client.post("/mpi/match", content=b"{}", headers=header)
    assert_problem(response, 415, "unsupported_media_type")


async def test_a_declared_body_that_is_too_large_is_not_read(api: Api) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1000

    header = JSON | {"content-length": "99999999"}
    assert_problem(
        await api.client.post("/mpi/match", content=endless(), headers=header),
        413,
        "payload_too_large",
    )
    assert read == 0


async def test_an_undeclared_body_is_read_up_to_the_limit_only(api: Api) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * 1000

    assert_problem(
        await api.client.post("/mpi/match", content=chunks(), headers=JSON),
        413,
        "payload_too_large",
    )
    assert sent <= 22


async def test_a_slow_body_is_given_up(tmp_path: Path) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(30)
        yield b"}"

    async with serving(tmp_path, MPI_REQUEST_TIMEOUT="0.2") as api:
        response = await api.client.post("/mpi/match", content=slow(), headers=JSON)
        problem = assert_problem(response, 408, "request_timeout")
    assert problem["retryable"] is True


async def test_work_that_takes_too_long_is_given_up_and_changes_nothing(tmp_path: Path) -> None:
    asked = {"patient_data": {"last_name": "Smith"}, "source": "A", "source_id": "1"}
    async with serving(tmp_path, MPI_REQUEST_TIMEOUT="0.2") as api:
        async with api.parts.store.group():  # nobody else may write meanwhile
            waiting = asyncio.create_task(
                api.client.post("/mpi/match", json=asked), context=contextvars.Context()
            )
            problem = assert_problem(await waiting, 504, "deadline_exceeded")
        assert problem["retryable"] is True
        assert (await api.parts.index.statistics())["records"] == 0
        again = await api.client.post("/mpi/match", json=asked)
        assert again.json()["status"] == "created"


async def test_unknown_routes_and_methods(api: Api) -> None:
    assert_problem(await api.client.get(f"/mpi/{SENTINEL}"), 404, "not_found")
    response = await api.client.get("/mpi/match")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/mpi/persons/MPI-1/merge", {"retire": SENTINEL, "reason": 5}),
        ("POST", "/mpi/persons/MPI-1/merge", {"retire": SENTINEL, "reason": "x", SENTINEL: 1}),
        ("POST", "/mpi/persons/MPI-1/merge", {}),
        ("POST", "/mpi/records/lookup", {"source": SENTINEL}),
        ("POST", "/mpi/assertions", {"kind": SENTINEL, "records": [[SENTINEL]], "reason": "x"}),
        ("POST", "/mpi/events/e/undo", {"reason": [SENTINEL]}),
        ("POST", "/mpi/tasks/t/decide", {"outcome": SENTINEL, "reason": "x"}),
        ("GET", f"/mpi/events?after={SENTINEL}", None),
        ("GET", f"/mpi/tasks?status={SENTINEL}", None),
        ("GET", f"/mpi/persons/MPI-1?as_of={SENTINEL}", None),
    ],
)
async def test_the_frameworks_own_refusals_are_problems_that_echo_nothing(
    api: Api, method: str, path: str, body: Any
) -> None:
    problem = assert_problem(
        await api.client.request(method, path, json=body), 422, "invalid_input"
    )
    assert problem["errors"]


async def test_broken_json_on_a_modelled_route(api: Api) -> None:
    response = await api.client.post(
        "/mpi/persons/MPI-1/merge", content=f'{{"{SENTINEL}'.encode(), headers=JSON
    )
    assert_problem(response, 400, "malformed_body")


@pytest.mark.parametrize("given", [f'"{SENTINEL}"', '"0"'])
async def test_if_match_must_be_an_etag_of_ours(api: Api, given: str) -> None:
    await api.client.put("/mpi/records/HOSP-A/1", json=PATIENT)
    response = await api.client.put(
        "/mpi/records/HOSP-A/1", json=PATIENT, headers={"if-match": given}
    )
    assert_problem(response, 412, "precondition_failed")


async def test_a_reason_says_something(api: Api) -> None:
    for reason in ("", " "):
        moving = {"to": "new", "reason": reason}
        response = await api.client.post("/mpi/records/HOSP-A/1/move", json=moving)
        assert response.status_code == 422


async def test_batches_are_limited_in_rows(api: Api) -> None:
    response = await api.client.post("/mpi/batch", json={"patients": [{}] * 6})
    assert_problem(response, 413, "payload_too_large")


async def test_a_batch_may_say_source_and_enroll_once(api: Api) -> None:
    rows = [{"first_name": "John", "last_name": "Smith", "source_id": str(n)} for n in range(2)]
    asked = {"patients": rows, "source": "HOSP-A", "enroll": False}
    await api.client.post("/mpi/batch", json=asked)
    assert (await api.client.get("/mpi/records/HOSP-A/1")).status_code == 404
    await api.client.post("/mpi/batch", json=asked | {"enroll": True})
    assert (await api.client.get("/mpi/records/HOSP-A/1")).status_code == 200


async def test_unknown_fields_are_reported(api: Api) -> None:
    body = {"patient_data": {"shoe_size": "44"}, "colour": "red"}
    response = await api.client.post("/mpi/match", json=body)
    assert {w["field"] for w in response.json()["warnings"]} >= {"shoe_size", "colour"}


DAMAGED = {"last_name": "Smith", "dob": SENTINEL, "ssn": "999-99-9999", "shoe_size": SENTINEL}
TOLD = {("dob", "unreadable"), ("ssn", "placeholder"), ("shoe_size", "unknown_field")}


def warned(response: Response) -> set[tuple[str, str]]:
    assert response.status_code == 200, response.text
    assert SENTINEL not in response.text
    return {(w["field"], w["code"]) for w in response.json()["warnings"]}


async def test_a_search_says_what_it_could_not_use(api: Api) -> None:
    body = {"patient_data": DAMAGED, "lmit": 5}
    told = warned(await api.client.post("/mpi/search", json=body))
    assert told == TOLD | {("lmit", "unknown_field")}
    body = {"patient_data": DAMAGED, "enroll": False}
    assert warned(await api.client.post("/mpi/match", json=body)) == TOLD


async def test_an_explanation_names_what_it_could_not_use_after_its_side(api: Api) -> None:
    side = {"patient_data": DAMAGED, "recorded_at": SENTINEL}
    told = TOLD | {("recorded_at", "unreadable")}
    body = {"left": side, "right": side | {"colour": "red"}, "middle": {}}
    sides = {(f"{name}.{field}", code) for name in ("left", "right") for field, code in told}
    assert warned(await api.client.post("/mpi/explain", json=body)) == sides | {
        ("right.colour", "unknown_field"),
        ("middle", "unknown_field"),
    }


async def test_an_explanation_repeats_no_warnings_of_a_stored_record(api: Api) -> None:
    assert warned(await api.client.put("/mpi/records/A/1", json={"patient_data": DAMAGED})) == TOLD
    stored = {"source": "A", "source_id": "1"}
    body = {"left": stored, "right": stored | {"patient_dta": {}}}
    told = warned(await api.client.post("/mpi/explain", json=body))
    assert told == {("right.patient_dta", "unknown_field")}


async def test_a_batch_says_what_beside_its_rows_it_does_not_know(api: Api) -> None:
    body = {"patients": [{"shoe_size": "44"}], "sorce": SENTINEL, "enrol": True}
    response = await api.client.post("/mpi/batch", json=body)
    assert warned(response) == {("sorce", "unknown_field"), ("enrol", "unknown_field")}
    (row,) = response.json()["results"]
    assert row["warnings"] == [{"field": "shoe_size", "code": "unknown_field"}]
    stream = {"Accept": "application/x-ndjson"}
    body |= {"patients": ["no object", {"shoe_size": "44"}]}
    lines = (await api.client.post("/mpi/batch", json=body, headers=stream)).text.splitlines()
    fields = [[w["field"] for w in json.loads(line)["warnings"]] for line in lines]
    assert fields == [["sorce", "enrol"], ["shoe_size"]]
    known = {"patients": [], "source": "A", "enroll": False, "explain": False}
    assert warned(await api.client.post("/mpi/batch", json=known)) == set()


async def test_health(api: Api) -> None:
    assert (await api.client.get("/health/live")).json() == {"status": "ok"}
    ready = (await api.client.get("/health/ready")).json()
    assert ready["status"] == "ok"
    assert ready["provider"] == "internal"
    assert ready["demo"] is False
    assert ready["model_version"]


async def test_metrics_count_by_method_and_status_and_know_no_paths(api: Api) -> None:
    await api.client.post("/mpi/match", json=PATIENT)
    await api.client.get(f"/mpi/records/{SENTINEL}/{SENTINEL}")
    await api.client.request(SENTINEL, "/health/live")
    text = (await api.client.get("/metrics")).text
    assert 'mpi_requests_total{method="POST",status="200"} 1.0' in text
    assert 'mpi_requests_total{method="GET",status="404"} 1.0' in text
    assert 'method="GET",route="/mpi/records/{source}/{source_id}"' in text
    assert "mpi_requests_in_progress 1.0" in text
    assert "mpi_cache_hits_total" in text
    assert "mpi_cache_misses_total" in text
    assert "mpi_request_duration_seconds_bucket" in text
    assert SENTINEL not in text


async def test_look_ups_are_counted_where_their_large_blocks_are(api: Api) -> None:
    """Searches are no submissions, and what a cache answers looks nothing up."""
    for path in ("/mpi/match", "/mpi/match", "/mpi/search"):
        answer = await api.client.post(path, json=PATIENT)
        assert answer.status_code == 200
    text = (await api.client.get("/metrics")).text
    assert 'mpi_decisions_total{status="no_match"} 2.0' in text
    assert "mpi_candidate_lookups_total 2.0" in text
    assert "mpi_blocks_narrowed_total 0.0" in text


async def test_documentation_loads_nothing_from_elsewhere(api: Api) -> None:
    page = await api.client.get("/docs")
    assert page.status_code == 200
    assert "//" not in page.text.replace("<!doctype html>", "")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js", "favicon-32x32.png"):
        assert f"docs/assets/{asset}" in page.text
        assert (await api.client.get(f"/docs/assets/{asset}")).status_code == 200


async def test_a_defect_is_answered_without_its_message(
    api: Api, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ValueError(SENTINEL)

    monkeypatch.setattr("mpi.api.records.record_key", broken)
    response = await api.client.get("/mpi/records/A/1")
    problem = assert_problem(response, 500, "internal_error")
    assert problem["detail"] == "an unexpected error"
    captured = "".join(capfd.readouterr())
    assert SENTINEL not in captured
    assert "ValueError" in captured
