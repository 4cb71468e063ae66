"""The machine fails while requests flow: only what failed is noticed, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import Effort
from tests.support.service import Profile, Service, command, environment, run_mpi, running
from tests.support.traffic import Traffic, traffic
from tests.support.workers import until, workers

pytestmark = pytest.mark.proof

CLIENTS = 40


def assert_kept(service: Service, seen: Traffic) -> None:
    """Everything acknowledged is there, under the person that was told."""
    with service.client() as http:
        for (source, source_id), mpi_id in seen.acknowledged.items():
            found = http.get(f"/mpi/records/{source}/{source_id}")
            assert found.json()["mpi_id"] == mpi_id, (source, source_id, found.text)


def verified(folder: Path) -> object:
    return json.loads(run_mpi(folder, "verify", "--embedded", "--json").stdout)["violations"]


def flowing(seen: Traffic, more: int) -> None:
    """Wait until so many more requests were answered."""
    before = seen.answered
    until(lambda: seen.answered >= before + more, f"{more} more answers")


def test_a_stopped_worker_holds_up_its_own_clients_only(tmp_path: Path, effort: Effort) -> None:
    seconds = effort(2, 10)
    with running(tmp_path, "--workers", "2") as service:
        with traffic(service.url, clients=CLIENTS) as seen:
            flowing(seen, 150)
            before = workers(service)
            os.kill(min(before), signal.SIGSTOP)
            stopped = seen.answered
            time.sleep(seconds)
            os.kill(min(before), signal.SIGCONT)
            assert seen.answered > stopped + 20, "nobody was answered"
            flowing(seen, 100)
        assert seen.broken == []
        assert set(seen.statuses) == {200}
        assert workers(service) == before
        assert_kept(service, seen)
    assert verified(tmp_path) == []


def limit_files(service: Service, size: int) -> None:
    """Let no file of the service grow beyond ``size`` bytes, as a full disk would not."""
    for pid in (service.process.pid, *workers(service)):
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_full_disk_refuses_registrations_until_there_is_room(
    tmp_path: Path, effort: Effort, count: str
) -> None:
    database = tmp_path / "data" / "mpi" / "mpi.sqlite3"
    with running(tmp_path, "--workers", count) as service:
        with traffic(service.url, clients=CLIENTS) as seen:
            for _ in range(effort(1, 5)):
                flowing(seen, 150)
                fill_up(service, database, seen)
        assert seen.broken == []
        assert set(seen.statuses) == {200, 503}
        assert set(seen.codes) == {"store_unavailable"}
        assert seen.unadvised == 0
        assert_kept(service, seen)
    assert verified(tmp_path) == []


def test_a_full_disk_is_read_from_also_after_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "data" / "mpi" / "mpi.sqlite3"
    with running(tmp_path) as service:
        with traffic(service.url, clients=CLIENTS) as seen:
            flowing(seen, 150)
            limit_files(service, database.stat().st_size)
            until(lambda: seen.statuses[503] >= 20, "refusals")
        assert service.stop() == 0
        assert "failed" not in service.output.read_text()
    most = database.stat().st_size
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))"
    stats = subprocess.run(
        command("stats", "--embedded", prelude=full),
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
        timeout=60,
    )
    assert (stats.returncode, stats.stderr) == (0, "")
    with running(tmp_path, prelude=full) as service:
        assert_kept(service, seen)
        assert service.stop() == 0
    assert verified(tmp_path) == []


def fill_up(service: Service, database: Path, seen: Traffic) -> None:
    """Fill the disk until registrations are refused, then make room."""
    # Not what the log has been: it is begun anew and anew, and may never be so long again.
    limit_files(service, database.stat().st_size)
    refused = seen.statuses[503]
    until(lambda: seen.statuses[503] >= refused + 20, "refusals")
    assert httpx2.get(f"{service.url}/health/ready").status_code == 200
    limit_files(service, resource.RLIM_INFINITY)
    flowing(seen, 100)
    refused = seen.statuses[503]
    flowing(seen, 100)
    assert seen.statuses[503] == refused, "it does not recover"


def events_of(service: Service) -> list[dict[str, Any]]:
    """The whole feed."""
    found: list[dict[str, Any]] = []
    with service.client() as http:
        while page := http.get(f"/mpi/events?after={len(found)}&limit=10000").json()["events"]:
            found += page
    return found


def test_a_clock_that_is_set_ahead_and_back_disturbs_nobody(
    tmp_path: Path, effort: Effort, profile: Profile
) -> None:
    """Events keep their order, whatever time they were told to be."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    path = (Path(__file__).parents[1] / "support/other_time", environment(tmp_path)["PYTHONPATH"])
    settings = {"CLOCK_FILE": str(clock), "PYTHONPATH": os.pathsep.join(map(str, path))}
    jumps = [timedelta(days=400), timedelta(days=-30), timedelta(hours=1), timedelta(0)]
    with running(tmp_path, "--workers", "2", profile=profile, settings=settings) as service:
        with traffic(service.url, clients=CLIENTS) as seen:
            for jump in jumps * effort(1, 5):
                flowing(seen, 60)
                clock.write_text(str(jump.total_seconds()))
            flowing(seen, 100)
        assert seen.broken == []
        assert set(seen.statuses) == {200}
        assert_kept(service, seen)
        events = events_of(service)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    times = [datetime.fromisoformat(event["at"]) for event in events]
    assert max(times) - min(times) > timedelta(days=429)
    # From each year to the next and back: what two workers write at one moment is never days apart.
    leaps = [later - earlier for earlier, later in pairwise(times)]
    assert any(leap < -timedelta(days=399) for leap in leaps), "it was not set back"
    assert profile.violations(tmp_path) == []
