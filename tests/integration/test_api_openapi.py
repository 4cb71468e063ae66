"""What OpenAPI publishes: valid, complete, and what really comes back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from pydantic import TypeAdapter

from mpi.api import persons, schemas, tasks
from mpi.api.problems import problem_response
from mpi.domain.mpi_id import parse_mpi_id
from mpi.errors import MpiError
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


SPELT = {"X-Request-ID", "ETag", "Retry-After", "WWW-Authenticate"}
SELF_CONTAINED = {
    *("/mpi/match", "/mpi/batch", "/mpi/search", "/mpi/explain", "/mpi/records/lookup"),
    *("/mpi/records/{source}/{source_id}", "/mpi/tasks/decide"),
}
"""Routes whose examples name nothing but the record that the first example registers."""


def kinds(kind: type[MpiError] = MpiError) -> Iterator[type[MpiError]]:
    """Every error class of the service, wherever it is defined."""
    if kind.__module__.startswith("mpi."):
        yield kind
    for narrower in kind.__subclasses__():
        yield from kinds(narrower)


KINDS = {kind.code: kind for kind in reversed(tuple(kinds()))}
"""By code: the class that brings it, not those that inherit it."""


def spelt(header: str) -> str:
    """A header as it is published: names are compared without case."""
    return next((name for name in SPELT if name.lower() == header.lower()), header)


def accept(document: dict[str, Any], model: str, value: object) -> None:
    """Fails unless the published schema of that name takes the value."""
    schema = {
        "$ref": f"#/components/schemas/{model}",
        "components": document["components"],
    }
    OAS31Validator(schema).validate(value)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as found:

        async def check(response: Response) -> None:
            if response.status_code >= 400:
                await response.aread()
                assert_published(found.app.openapi(), response)

        found.client.event_hooks = {"response": [check]}
        yield found


def assert_published(document: dict[str, Any], error: Response) -> None:
    """Fails unless the operation that was asked publishes this error, by its status and its code."""
    where = (error.request.method, error.request.url.path)
    published = operation_at(document, *where)["responses"]
    assert str(error.status_code) in published, (where, error.text)
    content = published[str(error.status_code)]["content"]["application/problem+json"]
    assert error.json()["code"] in content["examples"], (where, error.text)


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
        published = operation["responses"].keys()
        assert {"200", "401", "403", "500", "503", "504"} <= published, where
        # Whatever is sent is read and bounded, also where no body is declared.
        of_senders = {"408", "413", "415"}
        assert of_senders & published == (set() if method == "get" else of_senders), where
        assert ("400" in published) is ("requestBody" in operation), where
        assert "requestBody" not in operation or "422" in published, where


def problems_of(document: dict[str, Any]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Every published error: of which operation, its status and what is said of it."""
    for _, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if path.startswith("/mpi/") and status != "200":
                yield operation["operationId"], int(status), response


async def test_every_cause_of_an_error_is_shown_as_it_is_sent(api: Api) -> None:
    document = api.app.openapi()
    for name, status, response in problems_of(document):
        where = f"{name} {status}"
        shown = response["content"]["application/problem+json"]["examples"]
        assert shown, where
        sent = {"X-Request-ID"}
        for code, example in shown.items():
            accept(document, "Problem", example["value"])
            kind = KINDS[code]
            assert (example["value"]["status"], kind.status) == (status, status), where
            sent |= SPELT & {spelt(key) for key in problem_response(kind("test")).headers}
        assert response["headers"].keys() == sent, where


async def test_causes_are_published_where_they_can_occur(api: Api) -> None:
    causes: dict[str, set[str]] = {}
    for name, _, response in problems_of(api.app.openapi()):
        shown = response["content"]["application/problem+json"]["examples"]
        for code in shown:
            causes.setdefault(code, set()).add(name)
    assert causes["provider_unavailable"] == {"match", "batch", "search", "put_record"}
    assert causes["provider_refusal"] == {"match", "search", "put_record"}
    found = operations(api.app.openapi())
    bodies = {o["operationId"] for *_, o in found if "requestBody" in o}
    assert causes["malformed_body"] == bodies
    senders = {o["operationId"] for method, _, o in found if method != "get"}
    assert causes["overloaded"] == causes["request_timeout"] == senders
    assert causes["payload_too_large"] == causes["unsupported_media_type"] == senders
    assert senders - bodies == {"delete_record", "claim_task"}
    unsent = {"cache_unavailable", "certificate_expiring", "configuration_error", "key_mismatch"}
    # Other routes' methods and unknown routes are answered, but belong to no published operation.
    assert KINDS.keys() - causes.keys() == unsent | {"schema_mismatch", "method_not_allowed"}


@pytest.mark.parametrize("model", ["Problem", "BatchProblem", "TaskProblem", "Unready"])
async def test_every_stable_code_is_published(api: Api, model: str) -> None:
    models = api.app.openapi()["components"]["schemas"]
    reference = models[model]["properties"]["code"]["$ref"]
    assert models[reference.rpartition("/")[2]]["enum"] == sorted(KINDS)


async def test_every_precondition_is_published(api: Api) -> None:
    for method, path, operation in operations(api.app.openapi()):
        names = {p["name"] for p in operation.get("parameters", []) if p["in"] == "header"}
        assert ("If-Match" in names) is ("412" in operation["responses"]), f"{method} {path}"


async def test_every_body_has_an_example_that_is_accepted(api: Api) -> None:
    document = api.app.openapi()
    for method, path, operation in operations(document):
        if "requestBody" not in operation:
            continue
        content = operation["requestBody"]["content"]["application/json"]
        accept(document, content["schema"]["$ref"].rpartition("/")[2], content["example"])
        concrete = path.replace("{source}", "HOSP-A").replace("{source_id}", "0042")
        response = await api.client.request(method, concrete, json=content["example"])
        # What it names beside the record of the first example is not there.
        allowed = {200} if path in SELF_CONTAINED else {200, 404, 409}
        assert response.status_code in allowed, (path, response.text)


def test_examples_name_what_may_exist() -> None:
    assert parse_mpi_id(persons._MERGE["retire"]) == persons._MERGE["retire"]
    assert parse_mpi_id(tasks._DECIDE["mpi_id"]) == tasks._DECIDE["mpi_id"]


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
    yield schemas.TaskView, await ask("GET", task)
    yield schemas.TaskView, await ask("POST", f"{task}/claim")
    until = {"until": "2030-01-01T00:00:00Z", "reason": "test"}
    yield schemas.TaskView, await ask("POST", f"{task}/defer", until)
    handed = {"assignee": "ann", "reason": "test"}
    yield schemas.TaskView, await ask("POST", f"{task}/reassign", handed)
    decision = {"task_id": asked["task_id"], "outcome": "not-same"}
    many = {"decisions": [decision, decision | {"task_id": "T-1"}], "reason": "test"}
    yield schemas.DecideManyAnswer, await ask("POST", "/mpi/tasks/decide", many | {"preview": True})
    yield schemas.DecideManyAnswer, await ask("POST", "/mpi/tasks/decide", many)
    yield schemas.Ready, await ask("GET", "/health/ready")


async def test_answers_carry_the_published_headers(api: Api) -> None:
    document = api.app.openapi()
    sent: list[tuple[str, str, set[str]]] = []

    async def note(response: Response) -> None:
        headers = SPELT & {spelt(key) for key in response.headers}
        sent.append((response.request.method, response.request.url.path, headers))

    api.client.event_hooks["response"].append(note)
    async for _ in answers(api):
        pass
    tagged = set()
    for method, path, headers in sent:
        operation = operation_at(document, method, path)
        assert headers == operation["responses"]["200"]["headers"].keys(), (method, path)
        tagged |= {operation["operationId"]} if "ETag" in headers else set()
    published = [o for *_, o in operations(document) if "ETag" in o["responses"]["200"]["headers"]]
    assert tagged == {operation["operationId"] for operation in published}


def operation_at(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """What is published of a route; paths without parameters come before those that look like them."""
    for template in sorted(document["paths"], key=lambda text: text.count("{")):
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if re.fullmatch(pattern, path) and method.lower() in document["paths"][template]:
            found: dict[str, Any] = document["paths"][template][method.lower()]
            return found
    raise AssertionError((method, path))


TEXT: dict[str, Any] = {"content": b"text", "headers": {"Content-Type": "text/plain"}}
LARGE: dict[str, Any] = {
    "content": b"{}",
    "headers": {"Content-Type": "application/json", "Content-Length": str(2**40)},
}


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("DELETE", "/mpi/records/A/1", TEXT, 415),
        ("DELETE", "/mpi/records/A/1", LARGE, 413),
        ("DELETE", "/mpi/records/A/1", {}, 404),
        ("POST", "/mpi/tasks/TSK-000000112/claim", TEXT, 415),
        ("POST", "/mpi/tasks/TSK-000000112/claim", LARGE, 413),
        ("PUT", "/mpi/records/A/1", TEXT, 415),
        ("PUT", "/mpi/records/A/1", {"json": {"patient_data": 7}}, 422),
        ("POST", "/mpi/match", LARGE, 413),
        ("POST", "/mpi/search", {"content": b"{", "headers": {"Content-Type": "a/b+json"}}, 400),
        ("GET", "/mpi/tasks?limit=0", {}, 422),
    ],
)
async def test_refused_requests_are_published(
    api: Api, method: str, path: str, sent: dict[str, Any], status: int
) -> None:
    response = await api.client.request(method, path, **sent)  # looked up by the fixture
    assert response.status_code == status, response.text


async def test_what_went_away_is_published(api: Api) -> None:
    async def ask(status: int, method: str, path: str, body: Any = None) -> Any:
        response = await api.client.request(method, path, json=body)  # looked up by the fixture
        assert response.status_code == status, response.text
        return response.json()

    john = {"patient_data": JOHN}
    gone = await ask(200, "PUT", "/mpi/records/A/1", john)
    doubt = {"patient_data": JOHN | {"ssn": "688-90-3124"}}
    asked = await ask(200, "PUT", "/mpi/records/D/1", doubt)
    await ask(200, "DELETE", "/mpi/records/A/1")
    pair = {"left": {"source": "A", "source_id": "1"}, "right": john}
    await ask(410, "POST", "/mpi/explain", pair)
    await ask(410, "POST", "/mpi/explain", {"left": pair["right"], "right": pair["left"]})
    await ask(410, "DELETE", "/mpi/records/A/1")
    await ask(410, "GET", "/mpi/records/A/1")
    decision = {"outcome": "same", "mpi_id": gone["mpi_id"], "reason": "test"}
    await ask(410, "POST", f"/mpi/tasks/{asked['task_id']}/decide", decision)


async def test_retry_after_is_published_as_whole_seconds(api: Api) -> None:
    header = api.app.openapi()["components"]["headers"]["Retry-After"]
    assert header["schema"] == {"type": "integer", "minimum": 1}
    for kind in KINDS.values():
        sent = problem_response(kind("test")).headers.get("Retry-After", "1")
        OAS31Validator(header["schema"]).validate(int(sent))


async def test_what_is_not_ready_says_when_to_ask_again(api: Api) -> None:
    published = api.app.openapi()["paths"]["/health/ready"]["get"]["responses"]["503"]
    assert published["headers"].keys() == {"X-Request-ID", "Retry-After"}


async def test_answers_are_as_published(api: Api) -> None:
    async for model, answer in answers(api):
        TypeAdapter(model).validate_python(answer)
        missing = {n for n, f in model.model_fields.items() if f.is_required()} - answer.keys()
        assert not missing, (model, missing)
