"""Metrics of several processes in one folder: what ended ones counted stays, what they were doing goes."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mpi import shared_metrics
from mpi.errors import ConfigurationError
from tests.support.full_disk import files_of_at_most

COUNT = """
from mpi.shared_metrics import joined
from mpi.telemetry import Metrics
with joined():
    metrics = Metrics()
    metrics.connections.inc(3)
    for seconds in (0.002, 0.2):
        metrics.answered("GET", "/health/live", 200, seconds)
    print(metrics.render().decode())
"""
COUNT_ALL = """
from itertools import product
from mpi.api import events, match, operations, persons, records, tasks
from mpi.shared_metrics import joined
from mpi.telemetry import Metrics
with joined():
    metrics = Metrics()
    modules = (events, match, operations, persons, records, tasks)
    routes = {route.path for module in modules for route in module.router.routes}
    methods = "GET HEAD POST PUT DELETE PATCH OPTIONS OTHER".split()
    for method, route in product(methods, routes | {"(no route)", "/docs", "/openapi.json", "/docs/assets"}):
        metrics.answered(method, route, 200, 1)
    for method, status in product(methods, range(400, 440)):
        metrics.answered(method, "(no route)", status, 1)
    outcomes = [f"an_outcome_of_a_call_{number}" for number in range(20)]
    for operation, outcome in product((f"anOperation{number}" for number in range(20)), outcomes):
        metrics.provider_called(operation, outcome, 1, 1)
    for one, other in product(outcomes, outcomes[:5]):
        metrics.shadowed(one, other)
        metrics.hybrid_compared(one, other)
    for kind in outcomes:
        metrics.outbox_waiting(kind, 1, 1)
        metrics.outbox_ran(kind, kind)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def counted(program: str = COUNT) -> int:
    """Let another process count; returns its pid."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL) as process:
        assert process.wait() == 0
        return process.pid


def sums(text: bytes) -> set[bytes]:
    """Everything but what processes are doing at the moment."""
    return {
        line for line in text.splitlines() if re.match(rb"mpi_request(s_total|_duration)", line)
    }


def test_what_ended_processes_counted_is_added_up() -> None:
    with shared_metrics.shared() as folder:
        pids = [counted(), counted()]
        before = shared_metrics.rendered(folder)
        assert b'mpi_requests_total{method="GET",status="200"} 4.0' in before
        assert b"mpi_active_connections 6.0" in before
        shared_metrics.fold(folder, pids[0])
        after = shared_metrics.rendered(folder)
        assert b"mpi_active_connections 3.0" in after
        assert sums(after) == sums(before)
        shared_metrics.fold(folder, pids[1])
        assert sums(shared_metrics.rendered(folder)) == sums(before)
        names = {file.name for file in folder.glob("*.db")}
        assert names == {"counter_ended.db", "histogram_ended.db"}


def test_a_process_that_was_killed_before_it_counted_does_no_harm() -> None:
    with shared_metrics.shared() as folder:
        (folder / "counter_77.db").write_bytes(bytes(4096))
        (folder / "histogram_77.fresh").touch()
        shared_metrics.fold(folder, 77)
        pid = counted()
        shared_metrics.fold(folder, pid)
        text = shared_metrics.rendered(folder)
        assert b'mpi_requests_total{method="GET",status="200"} 2.0' in text
        assert {file.suffix for file in folder.iterdir()} == {".db", ".lock"}


def test_files_that_are_mapped_have_no_holes_and_never_grow() -> None:
    """To write into a hole kills a process when the disk is full."""
    with shared_metrics.shared() as folder:
        sizes = {}
        for program in (COUNT, COUNT_ALL):
            pid = counted(program)
            files = [file.stat() for file in sorted(folder.glob(f"*_{pid}.db"))]
            assert all(file.st_blocks * 512 >= file.st_size for file in files)
            sizes[program] = [file.st_size for file in files]
        assert sizes[COUNT_ALL] == sizes[COUNT] != []


def test_a_process_without_room_to_count_with_others_counts_for_itself() -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    with shared_metrics.shared() as folder:
        pid = counted()
        apart = subprocess.run(
            [sys.executable, "-c", limit + COUNT], capture_output=True, check=True
        ).stdout
        assert b"metrics_not_shared" in apart
        assert b"mpi_active_connections 3.0" in apart
        assert b"mpi_active_connections 3.0" in shared_metrics.rendered(folder)
        assert {file.name.partition("_")[2] for file in folder.glob("c*")} == {f"{pid}.db"}


def test_what_cannot_be_added_up_stays_in_the_sums() -> None:
    with shared_metrics.shared() as folder:
        pid = counted()
        before = sums(shared_metrics.rendered(folder))
        with files_of_at_most(100), pytest.raises(OSError, match="large"):
            shared_metrics.fold(folder, pid)
        after = shared_metrics.rendered(folder)
        assert sums(after) == before
        assert b"mpi_active_connections" not in after
        shared_metrics.fold(folder, pid)
        assert sums(shared_metrics.rendered(folder)) == before
        assert {file.suffix for file in folder.iterdir()} == {".db", ".lock"}


def test_a_folder_is_swept_only_when_nobody_lives_in_it(place: Path) -> None:
    left, inhabited = place / "mpi-metrics-left", place / "mpi-metrics-inhabited"
    for folder in (left, inhabited):
        folder.mkdir()
        (folder / "life.lock").touch()
    with (inhabited / "life.lock").open() as life:
        fcntl.flock(life, fcntl.LOCK_SH)
        with shared_metrics.shared() as mine:
            assert set(place.iterdir()) == {inhabited, mine}
    with shared_metrics.shared() as mine:
        assert set(place.iterdir()) == {mine}
    assert list(place.iterdir()) == []


def test_a_missing_place_for_temporary_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(ConfigurationError, match="TMPDIR"), shared_metrics.shared():
        pass
