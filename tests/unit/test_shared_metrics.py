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

COUNT = """
from mpi.telemetry import Metrics
metrics = Metrics()
metrics.connections.inc(3)
for seconds in (0.002, 0.2):
    metrics.answered("GET", "/health/live", 200, seconds)
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def counted() -> int:
    """Let another process count; returns its pid."""
    with subprocess.Popen([sys.executable, "-c", COUNT]) as process:
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
        (folder / "counter_77.db").touch()
        shared_metrics.fold(folder, 77)
        pid = counted()
        shared_metrics.fold(folder, pid)
        text = shared_metrics.rendered(folder)
        assert b'mpi_requests_total{method="GET",status="200"} 2.0' in text


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
