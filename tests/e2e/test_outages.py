"""Each part of a production stack fails while requests flow; the service recovers by itself, and how soon is told."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.daemons import Mongod, Server, Valkey
from tests.conftest import Effort
from tests.support.service import Service, on_mongodb
from tests.support.traffic import Traffic, traffic
from tests.support.workers import until, workers

pytestmark = pytest.mark.proof

RECOVERED = 200
"""So many answers in a row, all of them right, are a recovery."""
SECONDS_TO_RECOVER = 30.0


@dataclass(frozen=True, slots=True)
class Stack:
    """The parts that fail."""

    mongod: Mongod
    valkey: Valkey
    service: Service


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """Two workers on a MongoDB, with a Valkey for their answers."""
    with ExitStack() as opened:
        mongod, valkey = Mongod(tmp_path / "mongod"), Valkey(tmp_path / "valkey")
        for server in (mongod, valkey):
            server.start()
            opened.callback(server.kill)
        profile = on_mongodb(
            mongod.uri,
            "mpi_service",
            MPI_CACHE="memory,redis",
            MPI_CACHE_REMOTE_FOR="internal",
            MPI_MONGO_TIMEOUT="5",
            REDIS_HOST="127.0.0.1",
            REDIS_PORT=str(valkey.port),
        )
        with profile.running(tmp_path, "--workers", "2") as service:
            yield Stack(mongod, valkey, service)
            assert service.stop() == 0
        assert profile.violations(tmp_path) == []


Outage = Callable[[Stack, float], None]


def restart(server: Server, seconds: float) -> None:
    server.kill()
    time.sleep(seconds)
    server.start()


def pause(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


def kill_a_worker(stack: Stack, _: float) -> None:
    before = workers(stack.service)
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(workers(stack.service) - before) == 1, "the replacement")


NOBODY_NOTICES: dict[str, Outage] = {
    "valkey killed": lambda stack, seconds: restart(stack.valkey, seconds),
    "valkey paused": lambda stack, seconds: pause(stack.valkey.pid, seconds),
}
STORE_IS_DOWN: dict[str, Outage] = {
    "mongod killed": lambda stack, seconds: restart(stack.mongod, seconds),
    "mongod paused": lambda stack, seconds: pause(stack.mongod.pid, seconds),
}
ITS_OWN_WORK_IS_REFUSED: dict[str, Outage] = {
    "a worker paused": lambda stack, seconds: pause(min(workers(stack.service)), seconds)
}
"""The other worker has ended its transaction, and its time is over."""
CONNECTIONS_ARE_LOST: dict[str, Outage] = {"a worker killed": kill_a_worker}
OUTAGES = NOBODY_NOTICES | STORE_IS_DOWN | ITS_OWN_WORK_IS_REFUSED | CONNECTIONS_ARE_LOST
CLIENTS = 16


def recovered(seen: Traffic) -> None:
    """Wait until nothing is wrong any more."""
    since, answered = len(seen.troubles), seen.answered

    def calm() -> bool:
        nonlocal since, answered
        if len(seen.troubles) > since:
            since, answered = len(seen.troubles), seen.answered
        return seen.answered >= answered + RECOVERED

    until(calm, "the recovery", 2 * SECONDS_TO_RECOVER)


def assert_kept(service: Service, seen: Traffic) -> None:
    """Everything acknowledged is there, under the person that was told."""
    with service.client() as http:
        for (source, source_id), mpi_id in seen.acknowledged.items():
            found = http.get(f"/mpi/records/{source}/{source_id}")
            assert found.json()["mpi_id"] == mpi_id, (source, source_id, found.text)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A proof plays every outage; usually the worst is enough, for each starts a stack of its own."""
    if "name" in metafunc.fixturenames:
        is_proof = metafunc.config.getoption("--proof")
        metafunc.parametrize("name", OUTAGES if is_proof else ["mongod killed"])


def test_an_outage_ends_by_itself(
    stack: Stack, effort: Effort, name: str, record_property: Callable[[str, object], None]
) -> None:
    with traffic(stack.service.url, clients=CLIENTS) as seen:
        recovered(seen)
        assert not seen.troubles
        begun = time.monotonic()
        OUTAGES[name](stack, effort(1, 10))
        ended = time.monotonic()
        recovered(seen)
    first, last = (seen.troubles[0], seen.troubles[-1]) if seen.troubles else (begun, ended)
    took = max(0.0, last - ended)
    timeline = (
        f"{name}: back after {ended - begun:.1f} s; {len(seen.troubles)} of {seen.asked} requests failed, the first "
        f"{first - begun:.1f} s after it began, the last {took:.1f} s after it ended"
    )
    record_property("timeline", timeline)
    print(timeline)  # noqa: T201 - what a proof shows with -s
    assert took < SECONDS_TO_RECOVER
    assert set(seen.statuses) <= {200, 503}
    assert set(seen.codes) <= {"store_unavailable"}
    if name not in STORE_IS_DOWN:
        assert seen.statuses[503] <= (CLIENTS if name in ITS_OWN_WORK_IS_REFUSED else 0)
    assert seen.unadvised == 0
    assert len(seen.broken) <= (CLIENTS if name in CONNECTIONS_ARE_LOST else 0)
    assert_kept(stack.service, seen)
