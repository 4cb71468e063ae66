"""The service as a process: workers, shutdown, the demo."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import httpx2
import pytest

from bench.daemons import Mongod
from mpi.demo.population import Population
from tests.support.service import command, environment, on_mongodb, run_mpi, running
from tests.support.workers import handles, until, workers

PATIENT = {"first_name": "Ada", "last_name": "Byron", "dob": "1915-12-10", "ssn": "424-19-7908"}


def registration(number: int) -> dict[str, object]:
    return {"patient_data": PATIENT, "source": "A", "source_id": str(number)}


def made_up(rows: int) -> list[dict[str, str]]:
    return [dict(row) for row, _ in Population(rows).rows()]


def metric(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not among the metrics"
    return float(found[1])


def test_workers_add_up_their_metrics_and_see_each_others_patients(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service:
        answers = []
        for number in range(20):
            # A new connection each time, so that both workers get some.
            answer = httpx2.post(f"{service.url}/mpi/match", json=registration(number), timeout=30)
            answers.append(answer.json()["mpi_id"])
        assert len(set(answers)) == 1
        text = httpx2.get(f"{service.url}/metrics").text
        assert metric(text, 'mpi_requests_total{method="POST",status="200"}') == 20
        assert metric(text, "mpi_active_connections") == 1
        assert service.stop() == 0


def test_no_worker_answers_from_memory_what_another_process_has_changed(tmp_path: Path) -> None:
    question = {"patient_data": PATIENT, "enroll": False}
    with running(tmp_path, "--workers", "2") as service:

        def ask() -> list[dict[str, object]]:
            # A new connection each time, so that both workers get some.
            url = f"{service.url}/mpi/match"
            return [httpx2.post(url, json=question, timeout=30).json() for _ in range(20)]

        before = ask()
        assert {answer["status"] for answer in before} == {"no_match"}
        # Not the last one of all: it may be the first that the other worker got.
        assert "memory" in {answer["served_from"] for answer in before}
        row = PATIENT | {"source": "A", "source_id": "1"}
        done = run_mpi(tmp_path, "match", "--enroll", "--json", "--embedded", stdin=json.dumps(row))
        made = json.loads(done.stdout)
        assert {answer["mpi_id"] for answer in ask()} == {made["mpi_id"]}


def test_what_was_accepted_is_finished_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    rows = made_up(1000)
    finished: list[httpx2.Response] = []
    with running(tmp_path) as service:

        def send() -> None:
            finished.append(
                httpx2.post(f"{service.url}/mpi/batch", json={"patients": rows}, timeout=60)
            )

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        thread.join(60)
        service.process.wait(30)
    assert [response.status_code for response in finished] == [200]
    assert len(finished[0].json()["results"]) == 1000
    with running(tmp_path) as service:
        for row in (rows[0], rows[-1]):
            path = f"/mpi/records/{row['source']}/{row['source_id']}"
            assert httpx2.get(service.url + path).status_code == 200


@pytest.mark.parametrize("count", ["1", "2"])
def test_who_waits_for_a_store_that_hangs_is_told_that_the_service_stops(
    tmp_path: Path, mongod: Mongod, database: str, count: str
) -> None:
    profile = on_mongodb(mongod.uri, database, MPI_SHUTDOWN_TIMEOUT="2")
    answers: list[httpx2.Response] = []
    with running(tmp_path, "--workers", count, profile=profile) as service:

        def send() -> None:
            url = f"{service.url}/mpi/match"
            answers.append(httpx2.post(url, json=registration(1), timeout=60))

        with mongod.paused():
            thread = threading.Thread(target=send)
            thread.start()
            time.sleep(0.5)
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < 10
            thread.join(60)
        log = service.output.read_text()
    assert answers[0].status_code == 503
    assert answers[0].json()["code"] == "stopping"
    assert answers[0].headers["Retry-After"]
    assert "Exception in ASGI application" not in log


def test_a_worker_that_waits_for_its_store_holds_nobody_who_stops_the_service(
    tmp_path: Path, mongod: Mongod, database: str
) -> None:
    patience = {"MPI_SHUTDOWN_TIMEOUT": "1", "MPI_MONGO_TIMEOUT": "60"}
    profile = on_mongodb(mongod.uri, database, **patience)
    with running(tmp_path, "--workers", "2", profile=profile) as service:
        until(lambda: len(workers(service)) == 2, "two workers")
        with mongod.paused():
            before = workers(service)
            os.kill(min(before), signal.SIGKILL)
            until(lambda: len(workers(service) - before) == 1, "another in its place")
            (newcomer,) = workers(service) - before
            until(lambda: handles(newcomer, signal.SIGUSR1), "it gets to its store")
            assert service.stop() == 0
        log = service.output.read_text()
    assert "worker_silent" not in log, "it had to be killed"
    assert "Traceback" not in log


@pytest.mark.parametrize("count", ["1", "2"])
def test_an_answer_survives_the_death_of_the_service(tmp_path: Path, count: str) -> None:
    with running(tmp_path, "--workers", count) as service:
        answer = httpx2.post(f"{service.url}/mpi/match", json=registration(1), timeout=30).json()
        children = _children(service.process.pid)
        for pid in (service.process.pid, *children):
            os.kill(pid, signal.SIGKILL)
        service.process.wait(30)
    with running(tmp_path) as service:
        record = httpx2.get(f"{service.url}/mpi/records/A/1").json()
        assert record["mpi_id"] == answer["mpi_id"]


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def test_workers_do_not_outlive_the_process_that_started_them(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service:
        children = _children(service.process.pid)
        assert len(children) >= 2
        service.process.kill()
        service.process.wait(30)
        deadline = time.monotonic() + 120
        while any(Path(f"/proc/{child}").exists() for child in children):
            assert time.monotonic() < deadline, "a worker lives on"
            time.sleep(0.1)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", service.port))


def test_a_client_that_leaves_keeps_the_rows_that_were_committed(tmp_path: Path) -> None:
    rows = made_up(800)
    body = json.dumps({"patients": rows}).encode()
    head = (
        "POST /mpi/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with running(tmp_path, settings={"BATCH_SIZE": "50"}) as service:
        port = int(service.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head + body)
            assert b"200 OK" in connection.recv(1000)
            connection.recv(1000)
        replay = httpx2.post(f"{service.url}/mpi/batch", json={"patients": rows}, timeout=120)
        kept = [row["event_id"] is None for row in replay.json()["results"]]
        assert kept[0]
        assert kept == sorted(kept, reverse=True), "what was committed is a run from the start"
        again = httpx2.post(f"{service.url}/mpi/batch", json={"patients": rows}, timeout=120)
        assert all(row["event_id"] is None for row in again.json()["results"])


def test_the_demo_is_loaded_once_and_says_that_it_is_one(tmp_path: Path) -> None:
    example = {
        "patient_data": {
            "ssn": "123-45-6789",
            "first_name": "John",
            "last_name": "Smith",
            "dob": "1980-01-01",
        }
    }
    fewer = "from mpi.commands import demo; demo.ROWS = 2_000"  # enough for everybody of the example's name
    with running(tmp_path, "--demo", prelude=fewer) as service:
        assert httpx2.get(f"{service.url}/health/ready").json()["demo"] is True
        found = httpx2.post(f"{service.url}/mpi/match", json=example, timeout=30).json()
        assert found["mpi_id"] or found["candidates"]
        position = httpx2.get(f"{service.url}/health/ready").json()["position"]
        assert position >= 2_000
    started = time.monotonic()
    with running(tmp_path, "--demo", prelude=fewer) as service:
        assert time.monotonic() - started < 15
        assert httpx2.get(f"{service.url}/health/ready").json()["position"] == position
    assert not (tmp_path / "data" / "mpi" / "mpi.sqlite3").exists()


def is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/ready", timeout=30).status_code == 200
    except httpx2.ConnectError:
        return False


@contextmanager
def told_service(folder: Path, prelude: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A service at the moment at which it has said where it is, and that place."""
    service = subprocess.Popen(
        command("serve", "--embedded", "--json", prelude=prelude),
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert service.stdout is not None
        told = json.loads("".join(takewhile(lambda line: line != "}\n", service.stdout)) + "}")
        assert told["pid"] == service.pid
        yield service, told["url"]
    finally:
        service.kill()
        service.communicate()


def test_a_machine_is_told_where_the_service_is(tmp_path: Path) -> None:
    with told_service(tmp_path) as (_, url):
        # At once: it is there already, though it may take a moment to answer.
        assert httpx2.get(f"{url}/health/ready", timeout=30).status_code == 200


def test_a_service_whose_terminal_is_closed_while_it_starts_ends_in_order(tmp_path: Path) -> None:
    with told_service(tmp_path) as (service, _):
        service.send_signal(signal.SIGHUP)
        assert service.wait(30) == 0


def test_a_service_that_is_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    as_nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with told_service(tmp_path, as_nohup) as (service, url):
        until(lambda: is_ready(url), "an answer there")
        service.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert is_ready(url)
        service.terminate()
        assert service.wait(30) == 0
