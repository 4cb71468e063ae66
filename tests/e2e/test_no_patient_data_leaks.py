"""Sentinels stand in every field of every route and command; they turn up only where they belong.

They do not belong in what the service prints, in metrics, in error bodies, in what failing
commands print, or in the names of files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mpi.domain.intake import ALIASES, FLAT_FIELDS
from tests.support.sentinels import DIED, DOB, MARK, PHONE, SSN, ZIP, assert_clean
from tests.support.service import EMBEDDED, Service, on_mongodb, run_mpi, running

_TYPED = {
    "ssn": SSN,
    "dob": DOB,
    "birth_date": DOB,
    "date_of_birth": DOB,
    "phone": PHONE,
    "phone2": PHONE,
    "zip": ZIP,
    "postal_code": ZIP,
    "email": f"{MARK}mail@example.org",
    "sex": "F",
    "gender": "F",
    "deceased_date": DIED,
}
PATIENT = {name: _TYPED.get(name, f"{MARK}{name}") for name in (*FLAT_FIELDS, *ALIASES)}
PLURAL = {
    "names": [{"given": f"{MARK}g", "family": f"{MARK}f", "use": "maiden"}],
    "addresses": [{"line1": f"{MARK} Street 7", "city": f"{MARK}city"}],
    "phones": [PHONE],
    "emails": [f"{MARK}2@example.org"],
    "identifiers": [{"kind": "DL", "value": f"{MARK}DL99", "system": f"{MARK}DMV"}],
}
WRONG = {name: [value] for name, value in PATIENT.items()}
DAMAGED = PATIENT | {
    "dob": f"{MARK}-13-45",
    "ssn": f"{MARK}12",
    "phone": f"{MARK}555",
    "zip": f"{MARK}",
}
ID = f"{MARK}ID-77"
SECRET = "mpi_ZqxSecretKeyOfSomebody"


def requests() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and options of requests that plant the sentinels, right and wrong ones."""
    ids = {"source": "HOSP-A", "source_id": ID}
    record = f"/mpi/records/HOSP-A/{ID}"
    reason = {"reason": f"{MARK} reason"}
    for patient in (PATIENT, PATIENT | PLURAL, DAMAGED, WRONG, f"{MARK}", [MARK]):
        for extra in ({}, ids, {"source": MARK}, {"source": MARK, "source_id": MARK * 200}):
            yield "POST", "/mpi/match", {
                "json": {"patient_data": patient, "explain": True, **extra}
            }
        yield "POST", "/mpi/search", {"json": {"patient_data": patient}}
        yield "POST", "/mpi/search", {"json": {"patient_data": patient, "limit": MARK}}
        side = {"patient_data": patient}
        yield "POST", "/mpi/explain", {"json": {"left": side, "right": ids}}
        yield "POST", "/mpi/explain", {
            "json": {"left": side, "right": {"source": MARK, "source_id": MARK}}
        }
        yield "PUT", record, {"json": {"patient_data": patient, "recorded_at": MARK}}
        yield "PUT", record, {
            "json": {"patient_data": patient},
            "headers": {"if-match": f'"{MARK}"'},
        }
    yield "POST", "/mpi/batch", {
        "json": {"patients": [PATIENT | ids, WRONG, MARK, {"correlation_id": [MARK]}]}
    }
    yield "POST", "/mpi/batch", {"json": {"patients": MARK, "source": [MARK]}}
    yield "GET", record, {}
    yield "GET", f"/mpi/records/{MARK}/{MARK}", {}
    yield "POST", "/mpi/records/lookup", {"json": ids}
    yield "POST", "/mpi/records/lookup", {"json": {"source": MARK, "source_id": MARK}}
    yield "POST", "/mpi/records/lookup", {"json": {MARK: MARK}}
    yield "POST", record + "/move", {"json": {"to": MARK, **reason}}
    yield "POST", f"/mpi/records/{MARK}/{MARK}/move", {"json": {"to": "new", **reason}}
    yield "POST", f"/mpi/records/{MARK}/{MARK}/replace", {"json": {"by": MARK, **reason}}
    pair = [["HOSP-A", ID], [MARK, MARK]]
    yield "POST", "/mpi/assertions", {"json": {"kind": "same", "records": pair, **reason}}
    yield "POST", "/mpi/assertions", {"json": {"kind": MARK, "records": [[MARK]], "reason": 1}}
    yield "GET", f"/mpi/persons/{MARK}", {}
    yield "GET", f"/mpi/persons/{MARK}", {"params": {"as_of": MARK}}
    yield "GET", f"/mpi/persons/{MARK}/history", {}
    yield "POST", f"/mpi/persons/{MARK}/merge", {"json": {"retire": MARK, **reason}}
    yield "POST", f"/mpi/persons/{MARK}/merge", {"json": {"retire": [MARK], MARK: MARK}}
    yield "GET", "/mpi/tasks", {"params": {"after": MARK}}
    yield "GET", "/mpi/tasks", {"params": {"status": MARK}}
    yield "GET", f"/mpi/tasks/{MARK}", {}
    yield "POST", f"/mpi/tasks/{MARK}/claim", {}
    yield "POST", f"/mpi/tasks/{MARK}/decide", {
        "json": {"outcome": "new", "mpi_id": MARK, **reason}
    }
    yield "POST", f"/mpi/tasks/{MARK}/defer", {"json": {"until": MARK, **reason}}
    yield "POST", f"/mpi/tasks/{MARK}/reassign", {"json": {"assignee": MARK, **reason}}
    answers = [{"task_id": MARK, "outcome": "same", "mpi_id": MARK}]
    yield "POST", "/mpi/tasks/decide", {"json": {"decisions": answers, **reason}}
    yield "GET", "/mpi/events", {"params": {"after": MARK}}
    yield "POST", f"/mpi/events/{MARK}/undo", {"json": reason}
    yield "DELETE", f"/mpi/records/{MARK}/{MARK}", {}
    yield "DELETE", record, {}
    yield "GET", f"/{MARK}", {"params": {MARK: MARK}}
    yield "PATCH", "/mpi/match", {}
    yield MARK, "/mpi/match", {}
    yield "POST", "/mpi/match", {
        "content": f'{{"{MARK}'.encode(),
        "headers": {"content-type": "application/json"},
    }
    yield "POST", "/mpi/match", {
        "content": MARK.encode(),
        "headers": {"content-type": f"text/{MARK}"},
    }
    yield "POST", "/mpi/match", {"json": {}, "headers": {"x-api-key": SECRET}}
    yield "POST", "/mpi/match", {"json": {}, "headers": {"authorization": f"Bearer {SECRET}"}}
    yield "POST", "/mpi/match", {"json": {}, "headers": {"host": f"{MARK}.example.org"}}
    yield "POST", "/mpi/match", {"json": {}, "headers": {"origin": f"https://{MARK}.example.org"}}
    yield "GET", "/health/live", {"headers": {"x-request-id": f"{MARK} {SSN}"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("leaks")


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def service(request: pytest.FixtureRequest, folder: Path) -> Iterator[Service]:
    """On either store, and with everything logged that can be."""
    profile = EMBEDDED
    if request.param == "mongodb":
        profile = on_mongodb(request.getfixturevalue("mongod").uri, "leaks")
    with running(folder, settings={"LOG_LEVEL": "DEBUG"}, profile=profile) as found:
        yield found


def _ask(client: httpx2.Client, method: str, path: str, options: dict[str, Any]) -> httpx2.Response:
    return client.request(method, path, **options)


def test_no_route_lets_a_sentinel_out(service: Service) -> None:
    statuses: dict[int, int] = {}
    with service.client() as client:
        for method, path, options in requests():
            response = _ask(client, method, path, options)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
            where = f"{method} {path} {response.status_code}"
            assert response.status_code < 500, (where, response.text)
            assert_clean(str(response.headers), where)
            if response.status_code >= 400:
                assert_clean(response.text, where)
        assert_clean(client.get("/metrics").text, "metrics")
    # The sentinels went through the whole service, not only through its refusals.
    assert statuses[200] >= 20
    assert {400, 401, 403, 404, 405, 412, 415, 422} <= statuses.keys()
    printed = service.output.read_text()
    assert '"event": "request"' in printed.replace('"event":"', '"event": "')
    assert_clean(printed, "log")


def test_connections_that_break_off_leave_nothing_in_the_log(service: Service) -> None:
    body = json.dumps({"patient_data": PATIENT}).encode()
    port = int(service.url.rsplit(":", 1)[1])
    import socket

    for raw in (
        b"POST /mpi/match HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100000\r\n\r\n" + body,
        f"GET /{MARK} HTTP/9.9\r\n{MARK}\r\n\r\n".encode(),
        f"{MARK} {SSN}\r\n\r\n".encode(),
    ):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(5)
            assert_clean(connection.recv(4000).decode("latin-1"), "raw answer")
    with service.client() as client:
        assert client.get("/health/live").status_code == 200
    assert_clean(service.output.read_text(), "log")


COMMANDS: list[tuple[tuple[str, ...], str]] = [
    (("match",), json.dumps(PATIENT)),
    (
        ("match", "--enroll"),
        json.dumps(PATIENT | PLURAL | {"source": "HOSP-A", "source_id": "cli"}),
    ),
    (("match",), json.dumps(WRONG)),
    (("match",), f'{{"{MARK}'),
    (("match",), f'["{MARK}"]'),
    (("match", MARK), ""),
    (("match", f"first_name={MARK}", f"--{MARK}"), ""),
    (("match", f"--{MARK}={MARK}"), ""),
    (("explain",), json.dumps({"left": {"patient_data": PATIENT}, "right": {"source": MARK}})),
    (("explain",), json.dumps({"left": MARK})),
    (("person", MARK), ""),
    (("person", MARK, "--history"), ""),
    (("key", "add", MARK * 40, "--scope", "read"), ""),
    (("key", "add", "x", "--scope", MARK), ""),
    (("key", "revoke", MARK), ""),
    (("stats", MARK), ""),
    ((MARK,), ""),
    (("load", "rows.ndjson", "--rename", MARK), ""),
]


@pytest.mark.parametrize(("arguments", "stdin"), COMMANDS)
def test_no_command_repeats_a_sentinel_when_it_fails(
    folder: Path, service: Service, arguments: tuple[str, ...], stdin: str
) -> None:
    done = run_mpi(folder, *arguments, "--embedded", stdin=stdin)
    assert_clean(done.stderr, "standard error")
    if done.returncode != 0:
        assert_clean(done.stdout, "standard output")
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr


def test_loading_prints_no_row_and_files_are_named_after_none(
    folder: Path, service: Service
) -> None:
    rows = [PATIENT | {"source": "HOSP-A", "source_id": ID}, WRONG, {"source": MARK}, MARK]
    path = folder / "rows.ndjson"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + f"{{{MARK}\n")
    done = run_mpi(folder, "load", str(path), "--embedded", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["rejected"] == 4
    assert_clean(done.stdout, "standard output")
    assert_clean(done.stderr, "standard error")
    for command in (
        ("stats",),
        ("verify",),
        ("export", "crosswalk", str(folder / "crosswalk.csv")),
    ):
        done = run_mpi(folder, *command, "--embedded")
        assert done.returncode == 0, done.stderr
        assert_clean(done.stdout + done.stderr, " ".join(command))
    for file in folder.rglob("*"):
        assert_clean(str(file.relative_to(folder)), "file name")
        assert file.is_dir() or "data" not in file.parts or not file.stat().st_mode & 0o077, file
