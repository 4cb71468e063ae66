"""What the system refuses a service, its parent or its metrics does not end those that serve, and is told."""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

from tests.support.service import Service, running
from tests.support.workers import failures, logged, metric, settle, started, until, workers


def lose_one(service: Service) -> int:
    """Kill a worker; returns the one that is left."""
    victim, survivor = workers(service)
    os.kill(victim, signal.SIGKILL)
    return survivor


def test_workers_are_replaced_though_the_folder_of_their_metrics_was_removed(
    tmp_path: Path,
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    with running(tmp_path, "--workers", "2", settings={"TMPDIR": str(place)}) as service:
        settle(service)
        (folder,) = place.glob("mpi-metrics-*")
        shutil.rmtree(folder)
        assert metric(service, "mpi_active_connections") == 1
        survivor = lose_one(service)
        settle(service, 3)
        assert survivor in workers(service)
        assert folder.stat().st_mode & 0o777 == 0o700
        until(lambda: metric(service, "mpi_active_connections") == 1, "its count among all", 30)
        assert service.stop() == 0
    assert {line["event"] for line in logged(service)} >= {"started", "metrics_of_one_worker"}
    assert list(place.iterdir()) == []


def test_a_parent_without_descriptors_waits_until_it_has_some(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service:
        settle(service)
        parent = service.process.pid
        limits = resource.prlimit(parent, resource.RLIMIT_NOFILE)
        # As many as it waits for, of itself and two workers: `poll` refuses more than may be open.
        resource.prlimit(parent, resource.RLIMIT_NOFILE, (5, limits[1]))
        survivor = lose_one(service)
        until(lambda: len(failures(service)) == 2, "the second failure", 30)
        assert [line["seconds"] for line in failures(service)] == [0.5, 1.0]
        assert "Too many open files" in str(failures(service)[0]["problem"])
        assert [line["event"] for line in logged(service)].count("worker_not_counted") == 1
        assert workers(service) == {survivor}
        with service.client() as http:
            assert http.get("/health/ready").status_code == 200
        resource.prlimit(parent, resource.RLIMIT_NOFILE, limits)
        until(lambda: started(service) == 3, "the replacement", 30)
        assert service.stop() == 0


def closed_of(connections: list[socket.socket]) -> int:
    """How many of them the other side has closed."""
    readable, _, _ = select.select(connections, [], [], 1)
    return sum(connection.recv(1) == b"" for connection in readable)


def test_a_service_without_descriptors_says_each_time_that_it_refuses(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        pid = service.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        highest = max(int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir())

        def told() -> int:
            return [line["event"] for line in logged(service)].count("connections_refused")

        def crowd(times: int) -> None:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 5, limits[1]))
            place = ("127.0.0.1", service.port)
            with ExitStack() as stack:
                clients = [stack.enter_context(socket.create_connection(place)) for _ in range(20)]
                until(lambda: told() == times, "a word", 10)
                time.sleep(1.5)
                assert 0 < closed_of(clients) < 20
                assert told() == times
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            time.sleep(1.5)

        crowd(1)
        crowd(2)
        assert metric(service, "mpi_active_connections") == 1
