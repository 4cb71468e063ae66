"""A load that is killed goes on where it was; what it does not recognise it loads from the start."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from bench.daemons import Mongod
from mpi.bulk.checkpoint import CheckpointFile
from mpi.cli import INTERRUPTED
from mpi.demo.population import Population
from tests.support.service import Profile, command, environment, on_mongodb, run_mpi
from tests.support.workers import until

ROWS = 900
BROKEN = (3, 250, 620)
SETTINGS = {"BATCH_SIZE": "50"}
INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""What a shell starts in its background ignores interrupts, and so does whatever is started from there."""


@pytest.fixture(scope="module")
def rows() -> list[str]:
    """NDJSON lines, three of them broken."""
    lines = [json.dumps(row) for row, _ in Population(ROWS - len(BROKEN), 5).rows()]
    for number in BROKEN:
        lines.insert(number - 1, "{broken")
    return lines


@pytest.fixture
def path(tmp_path: Path, rows: list[str]) -> Path:
    path = tmp_path / "rows.ndjson"
    path.write_text("\n".join(rows) + "\n")
    return path


def load(folder: Path, path: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    done = run_mpi(folder, "load", str(path), *arguments, "--embedded", "--json", settings=SETTINGS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@contextmanager
def filled(pipe: Path, path: Path) -> Iterator[None]:
    """Somebody writes the file into the pipe meanwhile."""
    writer = threading.Thread(target=pipe.write_bytes, args=(path.read_bytes(),))
    writer.start()
    yield
    writer.join()


def checkpoints(folder: Path) -> list[Path]:
    return list((folder / "data" / "mpi").glob("mpi.sqlite3.load-*"))


def start(folder: Path, path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("load", str(path), "--embedded", "--json"),
        env=environment(folder, SETTINGS),
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )


def killed(folder: Path, path: Path, rows_done: int = 300) -> None:
    """Start a load and kill it -9 once it has noted that many rows."""
    process = start(folder, path)
    try:
        deadline = time.monotonic() + 300
        while _noted_rows(folder) < rows_done:
            assert process.poll() is None, "the load ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _noted_rows(folder: Path) -> int:
    found = checkpoints(folder)
    return int(json.loads(found[0].read_bytes())["report"]["rows"]) if found else 0


def crosswalk(folder: Path) -> list[list[str]]:
    path = folder / "crosswalk.csv"
    assert run_mpi(folder, "export", "crosswalk", str(path), "--embedded").returncode == 0
    with path.open() as file:
        return list(csv.reader(file))


def stats(folder: Path) -> Any:
    return json.loads(run_mpi(folder, "stats", "--embedded", "--json").stdout)


def rejected_lines(report: dict[str, Any]) -> list[int]:
    return [json.loads(line)["line"] for line in Path(report["rejects"]).read_text().splitlines()]


def test_a_killed_load_goes_on_and_ends_as_if_it_had_never_stopped(
    tmp_path: Path, path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    expected, _ = load(whole, path)
    killed(broken, path)
    assert stat.S_IMODE(checkpoints(broken)[0].stat().st_mode) == 0o600
    report, said = load(broken, path)
    assert report["resumed_after"] >= 300
    assert "Going on after row" in said
    assert (report["rows"], report["rejected"]) == (ROWS, len(BROKEN))
    # Rows committed after the checkpoint are met again and change nothing: one group at most.
    assert report["unchanged"] <= int(SETTINGS["BATCH_SIZE"])
    assert crosswalk(broken) == crosswalk(whole)
    assert stats(broken) == stats(whole)
    assert rejected_lines(report) == rejected_lines(expected) == list(BROKEN)
    assert not checkpoints(broken)
    assert len(list(Path(report["rejects"]).parent.iterdir())) == 1
    assert json.loads(run_mpi(broken, "verify", "--embedded", "--json").stdout) == {
        "violations": []
    }


def test_a_killed_load_from_a_pipe_leaves_no_rows_and_goes_on(tmp_path: Path, path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with filled(pipe, path):
        killed(tmp_path, pipe)
    left = {file.name for file in (tmp_path / "data" / "mpi").iterdir() if file.is_file()}
    assert not {name for name in left if not name.lstrip(".").startswith("mpi.sqlite3")}
    with filled(pipe, path):
        report, _ = load(tmp_path, pipe)
    assert (report["resumed_after"] >= 300, report["rows"]) == (True, ROWS)
    assert stats(tmp_path)["records"] == ROWS - len(BROKEN)


def test_a_second_run_of_a_finished_load_changes_nothing(tmp_path: Path, path: Path) -> None:
    load(tmp_path, path)
    before = stats(tmp_path)
    report, _ = load(tmp_path, path)
    assert (report["resumed_after"], report["unchanged"]) == (0, ROWS - len(BROKEN))
    assert stats(tmp_path) == before


def test_a_changed_file_is_loaded_from_its_beginning(tmp_path: Path, path: Path) -> None:
    killed(tmp_path, path)
    draft = checkpoints(tmp_path)[0]
    draft.with_name(
        f".{draft.name}.0123abcd"
    ).touch()  # as a kill in the middle of a write leaves it
    path.write_text(path.read_text().replace("{broken", "[broken"))
    report, said = load(tmp_path, path)
    assert "the file has changed" in said
    assert (report["resumed_after"], report["rows"]) == (0, ROWS)
    assert rejected_lines(report) == list(BROKEN)
    assert len(list(Path(report["rejects"]).parent.iterdir())) == 1
    assert not [file for file in (tmp_path / "data" / "mpi").iterdir() if ".load-" in file.name]


def test_other_options_start_from_the_beginning(tmp_path: Path, path: Path) -> None:
    killed(tmp_path, path)
    report, said = load(tmp_path, path, "--rename", "given=first_name")
    assert "other options" in said
    assert report["resumed_after"] == 0


def test_another_database_under_the_same_name_starts_from_the_beginning(
    tmp_path: Path, path: Path
) -> None:
    killed(tmp_path, path)
    for file in (tmp_path / "data" / "mpi").glob("mpi.sqlite3*"):
        if ".load-" not in file.name and not file.name.endswith(".key"):
            file.unlink()
    report, said = load(tmp_path, path)
    assert "not the one" in said
    assert (report["resumed_after"], report["unchanged"]) == (0, 0)
    assert stats(tmp_path)["records"] == ROWS - len(BROKEN)


def test_lost_rejected_rows_start_from_the_beginning(tmp_path: Path, path: Path) -> None:
    killed(tmp_path, path)
    for draft in (tmp_path / "data" / "mpi" / "rejects").iterdir():
        draft.unlink()
    report, said = load(tmp_path, path)
    assert "are gone" in said
    assert rejected_lines(report) == list(BROKEN)


def test_an_unreadable_checkpoint_is_none(tmp_path: Path, path: Path) -> None:
    killed(tmp_path, path)
    checkpoints(tmp_path)[0].write_bytes(b"")
    report, _ = load(tmp_path, path)
    assert (report["resumed_after"], report["rows"]) == (0, ROWS)


def test_an_interrupt_stops_both_processes_and_the_load_goes_on_later(
    tmp_path: Path, path: Path
) -> None:
    process = subprocess.Popen(
        command("load", str(path), "--embedded", "--json", prelude=INTERRUPTIBLE),
        env=environment(tmp_path, SETTINGS),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while _noted_rows(tmp_path) < 100:
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    # Returns when nobody can write any more, so the reader is gone with it.
    _, said = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in said
    assert "the same command goes on from there" in said
    report, _ = load(tmp_path, path)
    assert report["resumed_after"] >= 100
    assert report["rows"] == ROWS


def test_a_load_ends_when_it_is_told_to_although_its_server_hangs(
    tmp_path: Path, path: Path, mongod: Mongod, database: str
) -> None:
    profile = on_mongodb(mongod.uri, database, **SETTINGS)
    process = subprocess.Popen(
        command("load", str(path), *profile.options),
        env=environment(tmp_path, profile.settings),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        loaded = client[database]["record"]
        until(lambda: loaded.estimated_document_count() > 0, "the first row", 60)
    with mongod.paused():
        time.sleep(0.5)
        began = time.monotonic()
        process.terminate()
        _, said = process.communicate(timeout=100)
        assert (
            time.monotonic() - began < 12
        ), "it waited for the server, which has 10 seconds for each answer"
    assert process.returncode == INTERRUPTED
    assert "Traceback" not in said
    assert "the same command goes on from there" in said
    assert profile.run(tmp_path, "load", str(path)).returncode == 0


def test_a_file_is_loaded_by_one_process_at_a_time(tmp_path: Path, path: Path) -> None:
    process = start(tmp_path, path)
    try:
        until(lambda: _noted_rows(tmp_path) > 0, "the first checkpoint")
        process.send_signal(signal.SIGSTOP)
        done = run_mpi(tmp_path, "load", str(path), "--embedded", settings=SETTINGS)
        assert done.returncode == 2
        assert "is being loaded by another" in done.stderr
    finally:
        process.send_signal(signal.SIGCONT)
    assert process.wait(120) == 0
    report, _ = load(tmp_path, path)
    assert report["unchanged"] == ROWS - len(BROKEN)
    assert not list((tmp_path / "data" / "mpi").glob(".*loading*"))


def test_a_file_is_loaded_into_several_databases_at_a_time(
    tmp_path: Path, path: Path, on_server: Profile, database: str
) -> None:
    data = tmp_path / "data" / "mpi"
    with CheckpointFile(data / "mongodb.another", path).held():
        done = on_server.run(tmp_path, "load", str(path))
        assert done.returncode == 0, done.stderr
    with CheckpointFile(data / f"mongodb.{database}", path).held():
        done = on_server.run(tmp_path, "load", str(path))
        assert done.returncode == 2
        assert "is being loaded by another" in done.stderr
