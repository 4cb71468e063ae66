"""Two services on one index that share a Redis: nobody is told what was true before the last change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from bench.daemons import Valkey, free_port
from tests.conftest import Effort
from tests.support.people import Patient, made_up
from tests.support.service import Profile, running
from tests.support.workers import metric, until

PASSWORD = "right-password"
REJOIN_SECONDS = 30
WITHOUT_SERVERS = {
    "MPI_PROVIDER": "internal",
    "MPI_STORE": "sqlite",
    "MPI_CACHE": "memory,redis",
    "MPI_CACHE_REMOTE_FOR": "internal",
}


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey that only this test uses, behind a password."""
    server = Valkey(tmp_path / "valkey", password=PASSWORD)
    server.start()
    yield server
    server.kill()


def sharing(valkey: Valkey, **settings: str) -> Profile:
    place = {
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(valkey.port),
        "MPI_REDIS_PASSWORD": PASSWORD,
        "MPI_CACHE_TIMEOUT": "1",
    }
    return Profile((), {**WITHOUT_SERVERS, **place, **settings})


def done(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def ask(client: httpx2.Client, patient: Patient) -> dict[str, Any]:
    return done(client.post("/mpi/match", json={"patient_data": patient, "enroll": False}))


def enroll(client: httpx2.Client, patient: Patient, source_id: str) -> str:
    body = {"patient_data": patient, "source": "A", "source_id": source_id}
    return str(done(client.post("/mpi/match", json=body))["mpi_id"])


def trial(here: httpx2.Client, there: httpx2.Client, chance: Random, number: int) -> set[str]:
    """A registration, a merge and its undoing here, each looked for there; who answered at last."""
    one, other = made_up(chance), made_up(chance)
    for patient in (one, other, one, other):
        assert ask(there, patient)["status"] == "no_match"
    kept, retired = (enroll(here, p, f"{number}-{n}") for n, p in enumerate((one, other)))
    for _ in range(2):
        assert (ask(there, one)["mpi_id"], ask(there, other)["mpi_id"]) == (kept, retired)
    merge = {"retire": retired, "reason": "seen"}
    merged = done(here.post(f"/mpi/persons/{kept}/merge", json=merge))
    for _ in range(2):
        assert ask(there, other)["mpi_id"] == kept
        assert ask(here, other)["mpi_id"] == kept
    done(here.post(f"/mpi/events/{merged['event_id']}/undo", json={"reason": "wrong"}))
    assert ask(there, other)["mpi_id"] == retired
    return {
        ask(client, patient)["served_from"] for client in (here, there) for patient in (one, other)
    }


def until_both_use(here: httpx2.Client, there: httpx2.Client, chance: Random) -> None:
    """Whoever found Redis down asks it again after a pause only."""
    deadline = time.monotonic() + REJOIN_SECONDS
    served: list[str] = []
    while served != ["provider", "redis", "memory"]:
        assert time.monotonic() < deadline, served
        patient = made_up(chance)
        served = [ask(client, patient)["served_from"] for client in (here, there, there)]


def test_no_answer_is_older_than_the_last_change_with_and_without_redis(
    tmp_path: Path, own_valkey: Valkey, effort: Effort
) -> None:
    chance, trials = Random(7), effort(30, 1000)
    profile = sharing(own_valkey)
    served: dict[int, set[str]] = {}
    with (
        profile.running(tmp_path) as a,
        profile.running(tmp_path) as b,
        a.client() as here,
        b.client() as there,
    ):
        for number in range(trials):
            if number == trials // 3:
                own_valkey.kill()
            if number == 2 * trials // 3:
                own_valkey.start()
            pair = (here, there) if chance.random() < 0.5 else (there, here)
            served[number] = trial(*pair, chance, number)
        until_both_use(here, there, chance)
        ready = done(here.get("/health/ready"))
        assert ready["status"] == "ok"
        assert ready["parts"]["redis"]["status"] == "ok"


def test_a_service_starts_and_serves_while_redis_is_down_and_says_so(tmp_path: Path) -> None:
    away = Valkey(tmp_path / "away", password=PASSWORD)
    with (
        sharing(away).running(tmp_path) as service,
        service.client() as client,
    ):
        assert "REDIS_HOST" in service.output.read_text()
        patient = made_up(Random(1))
        assert [ask(client, patient)["served_from"] for _ in range(2)] == ["provider", "memory"]
        ready = done(client.get("/health/ready"))
        assert (ready["status"], ready["parts"]["redis"]["code"]) == (
            "degraded",
            "cache_unavailable",
        )
        for _ in range(3):
            ask(client, made_up(Random(2)))
        metrics = client.get("/metrics").text
        assert 'mpi_cache_skipped_total{tier="redis"}' in metrics
        assert 'mpi_cache_tier_open{tier="redis"}' in metrics


def test_a_tier_that_goes_and_comes_is_told_though_nobody_asks_it(
    tmp_path: Path, own_valkey: Valkey
) -> None:
    often = "from mpi.cache import tiered; tiered.WATCH_SECONDS = 0.3"
    with running(tmp_path, profile=sharing(own_valkey), prelude=often) as service:

        def left_out() -> float:
            return metric(service, 'mpi_cache_tier_open{tier="redis"}')

        assert left_out() == 0
        own_valkey.kill()
        until(lambda: left_out() == 1, "its end", 30)
        own_valkey.start()
        until(lambda: left_out() == 0, "its return", 30)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"MPI_REDIS_PASSWORD": "sekret-password"}, "MPI_REDIS_PASSWORD"),
        ({"MPI_REDIS_DB": "9999"}, "MPI_REDIS_DB"),
        ({"MPI_CACHE": "memory,mongodb", "MONGODB_URI": "sekret://"}, "MONGODB_URI"),
    ],
)
def test_what_will_never_work_stops_the_start(
    tmp_path: Path, own_valkey: Valkey, wrong: dict[str, str], named: str
) -> None:
    ended = sharing(own_valkey, **wrong).run(tmp_path, "serve", "--port", str(free_port()))
    assert ended.returncode == 2
    (line,) = ended.stderr.strip().splitlines()
    assert named in line
    assert "correct" in line
    assert "sekret" not in line
