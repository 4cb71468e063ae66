"""Workers come and go while their clients are served."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import Effort
from tests.support.service import Service, command, environment, free_port, run_mpi, running
from tests.support.traffic import Traffic, traffic
from tests.support.workers import failures, metric, settle, started, until, workers

CLIENTS = 40


def assert_kept(service: Service, seen: Traffic) -> None:
    """Everything acknowledged is there, under the person that was told."""
    with service.client() as http:
        for (source, source_id), mpi_id in seen.acknowledged.items():
            found = http.get(f"/mpi/records/{source}/{source_id}")
            assert found.json()["mpi_id"] == mpi_id, (source, source_id, found.text)


def verified(folder: Path) -> object:
    return json.loads(run_mpi(folder, "verify", "--embedded", "--json").stdout)["violations"]


def renew(service: Service, seen: Traffic) -> None:
    before, asked = workers(service), seen.asked
    service.process.send_signal(signal.SIGHUP)
    until(lambda: not before & workers(service), "the renewal")
    assert len(workers(service)) == len(before)
    assert seen.asked > asked


def test_a_rolling_restart_fails_no_request(tmp_path: Path, effort: Effort) -> None:
    with running(tmp_path, "--workers", "2") as service:
        with traffic(service.url) as seen:
            for _ in range(effort(2, 5)):
                renew(service, seen)
        assert seen.broken == []
        assert set(seen.statuses) == {200}
        assert_kept(service, seen)
        assert service.stop() == 0
    assert verified(tmp_path) == []


@pytest.mark.parametrize(
    ("count", "how"),
    [("1", signal.SIGTERM), ("1", signal.SIGINT), ("1", signal.SIGHUP), ("2", signal.SIGTERM)],
)
def test_stopping_answers_every_request_on_open_connections(
    tmp_path: Path, count: str, how: signal.Signals
) -> None:
    """A client that is told to go elsewhere does; until then, all it asks is answered."""
    body = json.dumps({"patient_data": {"last_name": "Byron", "dob": "1915-12-10"}})
    answered: list[int] = []

    def ask_until_told() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        connection.connect()
        while connection.sock is not None:  # which it is after an answer that says so
            connection.request("POST", "/mpi/match", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            answered.append(answer.status)
            time.sleep(0.02)

    with running(tmp_path, "--workers", count) as service, ThreadPoolExecutor(20) as pool:
        clients = [pool.submit(ask_until_told) for _ in range(20)]
        until(lambda: len(answered) > 400, "traffic")
        service.process.send_signal(how)
        for client in clients:
            client.result(30)
        assert service.process.wait(30) == 0
    assert set(answered) == {200}


def kill_one(service: Service, seen: Traffic, which: int) -> None:
    before, begun, lost = workers(service), started(service), len(seen.broken)
    os.kill(sorted(before)[which], signal.SIGKILL)
    until(lambda: len(workers(service) - before) == 1, "the replacement", 1)
    settle(service, begun + 1)
    answered = seen.answered
    until(lambda: seen.answered > answered + 100, "more answers")
    assert len(seen.broken) - lost <= CLIENTS


def test_a_killed_worker_is_replaced_and_only_its_connections_notice(
    tmp_path: Path, effort: Effort
) -> None:
    with running(tmp_path, "--workers", "2") as service:
        with traffic(service.url, clients=CLIENTS) as seen:
            settle(service)
            for number in range(effort(2, 10)):
                kill_one(service, seen, number % 2)
        assert set(seen.statuses) == {200}
        assert_kept(service, seen)
    assert verified(tmp_path) == []


def test_a_worker_that_hangs_is_replaced(tmp_path: Path) -> None:
    prelude = "from mpi.commands import workers; workers.SILENT_SECONDS = 2"
    with running(tmp_path, "--workers", "2", prelude=prelude) as service:
        settle(service)
        time.sleep(3)  # those that turn are left alone
        before = workers(service)
        os.kill(min(before), signal.SIGSTOP)
        until(lambda: min(before) not in workers(service), "its end", 10)
        until(lambda: started(service) == 3, "the replacement")
        assert max(before) in workers(service)
        assert service.output.read_text("utf-8").count("worker_silent") == 1


def test_metrics_stay_true_when_a_worker_dies_with_its_connections(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service:
        settle(service)
        connections = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(60)]
        # The one that asks is counted as well.
        until(lambda: metric(service, "mpi_active_connections") == 61, "60 open connections", 9)
        count = 'mpi_requests_total{method="GET",status="200"}'
        before = metric(service, count)
        victim = min(workers(service))
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in workers(service), "its end")
        kept = sum(_is_open(connection) for connection in connections)
        assert metric(service, "mpi_active_connections") == kept + 1
        assert kept < 60
        assert metric(service, count) >= before + 1
        for connection in connections:
            connection.close()
        until(lambda: metric(service, "mpi_active_connections") == 1, "only the one that asks")


def _is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def _folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("mpi-metrics-*"))


def test_metrics_of_a_service_that_was_killed_are_removed_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    settings = {"TMPDIR": str(place)}
    with running(tmp_path, "--workers", "2", settings=settings) as alive:
        (of_alive,) = _folders()
        with running(tmp_path, "--workers", "2", settings=settings) as killed:
            (of_killed,) = _folders() - {of_alive}
            children = workers(killed)
            killed.process.kill()
            killed.process.wait(30)
            until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "their end")
        assert _folders() == {of_alive, of_killed}
        with running(tmp_path, "--workers", "2", settings=settings):
            assert of_killed not in _folders()
            assert len(_folders()) == 2
            assert metric(alive, "mpi_active_connections") == 1
    assert _folders() == set()


def _write_once(pipe: Path, content: bytes) -> None:
    with pipe.open("wb") as file:  # waits for a reader
        file.write(content)


def test_workers_that_cannot_start_stop_the_service_with_the_reason(
    tmp_path: Path,
) -> None:
    pipe = tmp_path / "placeholders.json"
    os.mkfifo(pipe)
    with subprocess.Popen(
        command("serve", "--embedded", "--workers", "2", "--port", str(free_port())),
        env=environment(tmp_path, {"MPI_PLACEHOLDERS": str(pipe)}),
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        try:
            _write_once(pipe, b"{}")
            # The parent has read and closed: what is written next is for the workers alone.
            assert b"Serving" in process.stderr.readline()
            _write_once(pipe, b"no JSON")
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 2
    assert b"mpi: MPI_PLACEHOLDERS must be a JSON object of lists" in said
    assert b"Traceback" not in said


def test_workers_that_keep_failing_are_started_ever_more_rarely(tmp_path: Path) -> None:
    database = tmp_path / "data" / "mpi" / "mpi.sqlite3"
    with running(tmp_path, "--workers", "2") as service:
        settle(service)
        hidden = database.with_name("hidden")
        database.rename(hidden)
        victim, survivor = workers(service)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(failures(service)) == 3, "the third failure")
        pauses = [line["seconds"] for line in failures(service)]
        assert pauses == [0.5, 1.0, 2.0]
        assert survivor in workers(service)
        assert not database.exists()
        hidden.rename(database)
        until(lambda: started(service) == 3, "the recovery")
