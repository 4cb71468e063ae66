"""Every route of the published document and every command, so that a new one cannot be forgotten."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mpi.api.app import create_app
from mpi.bootstrap.container import build
from mpi.cli import commands
from mpi.matching.model import default_document
from mpi.settings import EMBEDDED, Settings, read_settings
from tests.support.document import Operation, example, operations
from tests.support.sentinels import DOB, MARK, PHONE, SSN, ZIP, assert_clean
from tests.support.service import EMBEDDED as EMBEDDED_PROFILE
from tests.support.service import Done, Service, on_mongodb, run_mpi, running

PATIENT = {
    "first_name": f"{MARK}a",
    "last_name": f"{MARK}son",
    "dob": DOB,
    "ssn": SSN,
    "phone": PHONE,
    "zip": ZIP,
    "address": f"7 {MARK} Street",
}
UNDOCUMENTED = {"/docs", "/openapi.json", "/docs/assets/{path}"}
"""Routes for people and tools, which take nothing and tell nothing of patients."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("every")


@pytest.fixture(scope="module", params=["embedded", "mongodb"])
def service(request: pytest.FixtureRequest, folder: Path) -> Iterator[Service]:
    """Over either store."""
    profile = EMBEDDED_PROFILE
    if request.param == "mongodb":
        profile = on_mongodb(request.getfixturevalue("mongod").uri, "every-route")
    with running(folder, profile=profile, settings={"LOG_LEVEL": "DEBUG"}) as found:
        yield found


def routes(every: Iterable[Any]) -> Iterator[Any]:
    """The routes themselves, also those of the routers that are included."""
    for route in every:
        router = getattr(route, "original_router", None)
        if router is None:
            yield route
        else:
            yield from routes(router.routes)


def test_every_route_is_published(tmp_path: Path) -> None:
    parts = build(read_settings({**EMBEDDED, "MPI_SQLITE_PATH": str(tmp_path / "index.sqlite3")}))
    application = create_app(parts)
    asyncio.run(parts.close())
    served = {route.path_format for route in routes(application.routes)}
    published = set(application.openapi()["paths"])
    assert served - published == UNDOCUMENTED


def attempts(document: dict[str, Any], operation: Operation) -> Iterator[dict[str, Any]]:
    """Options of requests of one operation, right and wrong ones, with sentinels everywhere."""
    query = operation.query(MARK)
    schema = operation.body_schema
    headers = {"if-match": f'"{MARK}"', "x-request-id": f"{MARK} {SSN}"}
    yield {"headers": headers}
    yield {"params": query}
    yield {"params": query | {MARK: MARK}, "headers": {"x-api-key": MARK}}
    if schema is not None:
        for text in (MARK, SSN, f"{MARK}\x00"):
            body = example(document, schema, text)
            yield {"json": body}
            yield {"json": body | {MARK: MARK}}
            yield {"json": {name: [MARK] for name in body}}
            yield {"json": dict.fromkeys(body, MARK)}
        yield {"json": [MARK]}
        yield {"content": f'{{"{MARK}', "headers": {"content-type": "application/json"}}
        yield {"content": MARK, "headers": {"content-type": f"text/{MARK}"}}


def test_no_route_tells_what_it_was_given(service: Service) -> None:
    with service.client() as client:
        document = client.get("/openapi.json").json()
        ids = {"source": f"{MARK}-A", "source_id": f"{MARK}1"}
        told = client.post("/mpi/match", json={"patient_data": PATIENT, **ids}).json()
        values = (MARK, f"{SSN}%2F{MARK}%00", told["mpi_id"], told["event_id"])
        asked = 0
        for operation in operations(document):
            for value in values:
                for options in attempts(document, operation):
                    path = operation.filled(value)
                    answer = client.request(operation.method, path, **options)
                    where = f"{operation.method} {operation.path} {answer.status_code}"
                    assert answer.status_code < 500, (where, answer.text)
                    assert_clean(str(answer.headers), where)
                    if answer.status_code >= 400:
                        assert_clean(answer.text, where)
                    asked += 1
        assert asked > 300
        assert_clean(client.get("/metrics").text, "metrics")
        assert_clean(client.get("/health/ready").text, "health")
    log = service.output.read_text()
    assert "request_failed" not in log
    assert_clean(log, "log")


def leaves(
    command: Any = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words."""
    command = command or get_command(commands())
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
    for name, child in (inner or {}).items():
        yield from leaves(child, (*path, name))


COMMANDS = [pytest.param(words, command, id=" ".join(words)) for words, command in leaves()]


def assert_kept_to_itself(done: Done) -> None:
    assert done.returncode in {1, 2}, done.stdout
    assert_clean(done.stdout + done.stderr, "output")
    assert done.stderr.startswith("mpi: ")
    assert len(done.stderr.splitlines()) == 1
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize(("words", "command"), COMMANDS)
def test_a_misused_command_does_not_repeat_what_was_typed(
    tmp_path: Path, words: tuple[str, ...], command: Any
) -> None:
    assert_kept_to_itself(run_mpi(tmp_path, *words, f"--{MARK}"))
    assert_kept_to_itself(run_mpi(tmp_path, *words, *[MARK] * 9, stdin=MARK))
    for parameter in command.params:
        if parameter.opts[0].startswith("--") and not getattr(parameter, "is_flag", False):
            done = run_mpi(tmp_path, *words, parameter.opts[0], MARK, stdin=MARK)
            assert_kept_to_itself(done)


def test_a_defect_of_a_command_is_told_without_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise ValueError(MARK)

    monkeypatch.setattr("mpi.commands.asking.read_flat", defect)
    done = run_mpi(tmp_path, "match", "first_name=Ada", "--embedded")
    assert done.returncode == 1
    assert "unexpected ValueError at" in done.stderr
    assert_clean(done.stderr, "standard error")


NEEDED: dict[str, tuple[str, ...]] = {
    "serve": (),
    "load": ("FILE",),
    "match": ("first_name=Ada",),
    "explain": (),
    "person": ("MPI-000000000",),
    "stats": (),
    "backup": ("COPY",),
    "verify": (),
    "export crosswalk": ("COPY",),
    "export verdicts": ("COPY",),
    "post": (),
    "train": ("--out", "COPY"),
    "model list": (),
    "model show": ("2026.7",),
    "model diff": ("2026.7", "2026.6"),
    "model add": ("MODEL",),
    "model activate": ("2026.7", "--reason", "it is better"),
    "model rollback": ("--reason", "it was better"),
    "model shadow": ("2026.7", "--reason", "is it better?"),
    "model try": ("2026.7",),
    "model thresholds": (),
    "key add": ("somebody", "--scope", "read"),
    "key list": (),
    "key revoke": ("KEY",),
}
"""What each command that opens the index needs to be run; a new one has to be added."""

WITHOUT_INDEX = {"demo population", "evaluate", "migrate", "restore", "verato-simulator"}


def test_every_command_that_opens_the_index_is_listed() -> None:
    assert {" ".join(words) for words, _ in leaves()} - WITHOUT_INDEX == NEEDED.keys()


def given(folder: Path, words: str) -> list[str]:
    (folder / "FILE").write_text('{"source":"A","source_id":"1","last_name":"Real"}\n')
    (folder / "MODEL").write_bytes(default_document())
    names = {name: str(folder / name) for name in ("FILE", "MODEL")} | {
        "COPY": str(folder / "copy")
    }
    return [names.get(argument, argument) for argument in NEEDED[words]]


def damaged(path: Path) -> None:
    path.write_bytes(b"this is no database, " * 400)


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()


@pytest.mark.parametrize("spoil", [damaged, foreign, newer])
def test_no_command_works_on_an_index_that_is_none(tmp_path: Path, spoil: Any) -> None:
    assert run_mpi(tmp_path, "key", "add", "x", "--scope", "read", "--embedded").returncode == 0
    path = tmp_path / "data" / "mpi" / "mpi.sqlite3"
    for name in ("mpi.sqlite3-wal", "mpi.sqlite3-shm"):
        path.with_name(name).unlink(missing_ok=True)
    spoil(path)
    before = path.read_bytes()
    pair = json.dumps({"left": {"patient_data": PATIENT}, "right": {"patient_data": PATIENT}})
    for words in NEEDED:
        arguments = (*words.split(), *given(tmp_path, words), "--embedded")
        done = run_mpi(tmp_path, *arguments, stdin=pair)
        if words == "verify" and done.returncode == 3:
            assert "integrity" in done.stdout
        else:
            assert done.returncode == 2, (words, done)
            assert_kept_to_itself(done)
        assert path.read_bytes() == before, words


@pytest.mark.parametrize(
    "name", sorted(str(f.validation_alias) for f in Settings.model_fields.values())
)
def test_no_setting_is_repeated(tmp_path: Path, name: str) -> None:
    secret = f"{MARK}-a-secret-that-nobody-may-see-0123456789"
    value = f"{tmp_path}/{name}" if name == "MPI_SQLITE_PATH" else secret
    done = run_mpi(tmp_path, "stats", settings={**EMBEDDED, name: value})
    assert done.returncode == 2
    assert_kept_to_itself(done)
