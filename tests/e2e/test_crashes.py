"""The service and the loader are killed at any moment: what was acknowledged is there, and nothing half."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from bench.daemons import Mongod
from mpi.demo.population import Population
from tests.conftest import Effort
from tests.support.crashes import Client, Witness, work_until_it_dies
from tests.support.service import (
    EMBEDDED,
    Profile,
    Service,
    command,
    environment,
    on_mongodb,
    run_mpi,
)

pytestmark = pytest.mark.proof

CLIENTS = 4


def kill(service: Service) -> None:
    """Kill the service with its workers, as a machine does that runs out of memory."""
    pid = service.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for victim in (pid, *map(int, children)):
        os.kill(victim, signal.SIGKILL)
    service.process.wait(30)


def test_nothing_acknowledged_is_lost_when_the_service_is_killed(
    tmp_path: Path, effort: Effort, profile: Profile
) -> None:
    chance, clients = Random(3), [Client(number) for number in range(CLIENTS)]
    witness, rounds = Witness(clients, chance), effort(2, 50)
    for number in range(rounds + 1):
        with profile.running(tmp_path, "--workers", str(1 + number % 2)) as service:
            with service.client() as http:
                witness.assert_kept(http)
            if number < rounds:
                after = chance.randrange(20, 150)
                work_until_it_dies(service.url, clients, partial(kill, service), after=after)
        assert profile.violations(tmp_path) == []


def test_nothing_acknowledged_is_lost_when_mongod_is_killed(tmp_path: Path, effort: Effort) -> None:
    """The service stays: it answers 503 while its store is down for long, and goes on by itself."""
    server = Mongod(tmp_path / "mongod")
    server.start()
    profile = on_mongodb(server.uri, "mpi_service", MPI_MONGO_TIMEOUT="0.5")
    chance = Random(4)
    clients = [Client(number, outlives_the_store=True) for number in range(CLIENTS)]
    witness = Witness(clients, chance)

    def interrupt() -> None:
        """A few times kill the server under load; then the service too, so that the clients stop."""
        for _ in range(effort(2, 50)):
            server.kill()
            # A short absence is waited out; this one lasts until somebody is told of it.
            _wait_for(lambda: outages(clients), 1)
            server.start()
            _wait_for(lambda: answers(clients), chance.randrange(20, 80))
        kill(service)

    try:
        with profile.running(tmp_path) as service:
            work_until_it_dies(service.url, clients, interrupt, after=40)
        assert outages(clients) > 0
        with profile.running(tmp_path) as service, service.client() as http:
            witness.assert_kept(http)
        assert profile.violations(tmp_path) == []
    finally:
        server.kill()


def answers(clients: list[Client]) -> int:
    return sum(client.done for client in clients)


def outages(clients: list[Client]) -> int:
    return sum(client.outages for client in clients)


def _wait_for(count: Callable[[], int], more: int) -> None:
    enough = count() + more
    deadline = time.monotonic() + 180
    while count() < enough:
        assert time.monotonic() < deadline, "the service did not go on"
        time.sleep(0.01)


def crosswalk(folder: Path) -> dict[tuple[str, str], str]:
    path = folder / "crosswalk.csv"
    done = run_mpi(folder, "export", "crosswalk", str(path), "--embedded")
    if done.returncode == 2:
        return {}  # it was killed before there was an index
    with path.open() as file:
        next(file)
        return {(source, source_id): mpi_id for source, source_id, mpi_id in csv.reader(file)}


def killed_load(folder: Path, path: Path, seconds: float) -> bool:
    """Start a load and kill it; False when it came to its end before."""
    process = subprocess.Popen(
        command("load", str(path), "--embedded"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(folder),
        cwd=folder,
    )
    try:
        return process.wait(seconds) != 0
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def test_a_load_that_is_killed_again_and_again_comes_to_the_same_end(
    tmp_path: Path, effort: Effort
) -> None:
    chance, path = Random(5), tmp_path / "rows.ndjson"
    rows = [dict(row) for row, _ in Population(effort(250, 2_000), seed=5).rows()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = [(row["source"], row["source_id"]) for row in rows]
    calm = tmp_path / "calm"
    calm.mkdir()
    started = time.monotonic()
    assert not killed_load(calm, path, seconds=300)
    longest, expected = time.monotonic() - started, crosswalk(calm)
    assert expected.keys() == set(keys)
    kills = number = 0
    while kills < effort(2, 50):
        folder, number, there, alive = tmp_path / str(number), number + 1, 0, True
        folder.mkdir()
        while alive and kills < effort(2, 50):
            alive = killed_load(folder, path, chance.uniform(0.4, 1.0) * longest)
            kills += alive
            found = crosswalk(folder)
            # Rows are committed in order: what is there is a beginning of the file, never less than before.
            assert there <= len(found)
            assert found.keys() == set(keys[: len(found)])
            there = len(found)
            assert there == 0 or EMBEDDED.violations(folder) == []
        assert not killed_load(folder, path, seconds=300)
        assert crosswalk(folder) == expected
        assert EMBEDDED.violations(folder) == []
