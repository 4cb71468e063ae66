"""What OpenAPI publishes: valid, complete, and what really comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from pydantic import TypeAdapter

from mpi.api import schemas
from tests.support.api import Api, serving

JOHN = {
    "first_name": "John",
    "last_name": "Smith",
    "dob": "1980-01-02",
    "sex": "M",
    "ssn": "424-19-7908",
    "phone": "323-432-4979",
    "zip": "90001",
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as found:
        yield found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def test_the_document_is_valid(api: Api) -> None:
    validate((await api.client.get("/openapi.json")).json())


async def test_every_operation_is_described_with_its_errors(api: Api) -> None:
    for method, path, operation in operations(api.app.openapi()):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        if not path.startswith("/mpi/"):
            continue
        assert operation["security"], where
        assert {"200", "401", "403", "500", "503", "504"} <= operation["responses"].keys(), where
        for status, response in operation["responses"].items():
            if status != "200":
                assert "application/problem+json" in response["content"], f"{where} {status}"
        body = operation.get("requestBody")
        if body:
            assert {"400", "415", "422"} <= operation["responses"].keys(), where


async def test_every_precondition_is_published(api: Api) -> None:
    for method, path, operation in operations(api.app.openapi()):
        names = {p["name"] for p in operation.get("parameters", []) if p["in"] == "header"}
        assert ("If-Match" in names) is ("412" in operation["responses"]), f"{method} {path}"


async def test_bodies_have_examples_that_are_accepted(api: Api) -> None:
    document = api.app.openapi()
    shown = 0
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" not in content:
            continue
        shown += 1
        concrete = path.replace("{source}", "HOSP-A").replace("{source_id}", "0042")
        response = await api.client.request(method, concrete, json=content["example"])
        assert response.status_code == 200, (path, response.text)
    assert shown >= 5


async def answers(api: Api) -> AsyncIterator[tuple[type[Any], Any]]:
    """Every kind of answer that a small index gives."""

    async def ask(method: str, path: str, body: Any = None) -> Any:
        response = await api.client.request(method, path, json=body)
        assert response.status_code == 200, response.text
        return response.json()

    first = {"patient_data": JOHN, "source": "A", "source_id": "1", "explain": True}
    created = await ask("POST", "/mpi/match", first)
    yield schemas.MatchAnswer, created
    yield schemas.MatchAnswer, await ask("POST", "/mpi/match", first | {"source_id": "2"})
    yield schemas.MatchAnswer, await ask("POST", "/mpi/match", {"patient_data": JOHN})
    yield schemas.MatchAnswer, await ask("PUT", "/mpi/records/B/1", {"patient_data": JOHN})
    other = {"patient_data": {"first_name": "Mary", "last_name": "Jones", "dob": "1950-05-05"}}
    lone = await ask("PUT", "/mpi/records/C/1", other)
    rows = [JOHN, JOHN | {"source": "only"}, 7, JOHN | {"correlation_id": "x"}]
    yield schemas.BatchAnswer, await ask("POST", "/mpi/batch", {"patients": rows})
    yield schemas.SearchAnswer, await ask("POST", "/mpi/search", {"patient_data": JOHN})
    pair = {"left": {"source": "A", "source_id": "1"}, "right": {"patient_data": JOHN}}
    yield schemas.ExplanationView, await ask("POST", "/mpi/explain", pair)
    yield schemas.RecordView, await ask("GET", "/mpi/records/A/1")
    lookup = {"source": "A", "source_id": "1"}
    yield schemas.RecordView, await ask("POST", "/mpi/records/lookup", lookup)
    yield schemas.PersonView, await ask("GET", f"/mpi/persons/{created['mpi_id']}")
    yield schemas.EventList, await ask("GET", f"/mpi/persons/{created['mpi_id']}/history")
    merge = {"retire": lone["mpi_id"], "reason": "test"}
    merged = await ask("POST", f"/mpi/persons/{created['mpi_id']}/merge", merge)
    yield schemas.ChangeAnswer, merged
    undone = await ask("POST", f"/mpi/events/{merged['event_id']}/undo", {"reason": "test"})
    yield schemas.ChangeAnswer, undone
    move = {"to": "new", "reason": "test"}
    yield schemas.ChangeAnswer, await ask("POST", "/mpi/records/A/2/move", move)
    await ask("PUT", "/mpi/records/B/2", other)
    replaced = {"by": "1", "reason": "test"}
    yield schemas.ChangeAnswer, await ask("POST", "/mpi/records/B/2/replace", replaced)
    yield schemas.ChangeAnswer, await ask("DELETE", "/mpi/records/B/1")
    yield schemas.EventList, await ask("GET", "/mpi/events")
    doubt = {"patient_data": JOHN | {"ssn": "688-90-3124"}}
    asked = await ask("PUT", "/mpi/records/D/1", doubt)
    yield schemas.TaskList, await ask("GET", "/mpi/tasks")
    task = f"/mpi/tasks/{asked['task_id']}"
    until = {"until": "2030-01-01T00:00:00Z", "reason": "test"}
    yield schemas.TaskView, await ask("POST", f"{task}/defer", until)
    handed = {"assignee": "ann", "reason": "test"}
    yield schemas.TaskView, await ask("POST", f"{task}/reassign", handed)
    decision = {"task_id": asked["task_id"], "outcome": "not-same"}
    many = {"decisions": [decision, decision | {"task_id": "T-1"}], "reason": "test"}
    yield schemas.DecideManyAnswer, await ask("POST", "/mpi/tasks/decide", many | {"preview": True})
    yield schemas.DecideManyAnswer, await ask("POST", "/mpi/tasks/decide", many)
    yield schemas.Ready, await ask("GET", "/health/ready")


async def test_answers_are_as_published(api: Api) -> None:
    async for model, answer in answers(api):
        TypeAdapter(model).validate_python(answer)
        missing = {n for n, f in model.model_fields.items() if f.is_required()} - answer.keys()
        assert not missing, (model, missing)
