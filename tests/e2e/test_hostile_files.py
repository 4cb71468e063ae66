"""Files and pipes that mean harm: a load takes what it can, and neither dies, nor grows, nor tells."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.conftest import Effort
from tests.support.hostile import attacks, hostile_rows, hostile_table
from tests.support.sentinels import MARK, assert_clean
from tests.support.service import Done, environment, run_mpi

pytestmark = pytest.mark.proof

MEGABYTE = 1_000_000
REST_MB = 400
"""What a load takes for itself, and for one line of the largest size."""


def assert_kept_to_itself(done: Done) -> None:
    assert done.returncode in {0, 1, 2}, done.stderr
    assert_clean(done.stderr, "standard error")
    if done.returncode != 0:
        assert_clean(done.stdout, "standard output")
    for sign in ("Traceback", "unexpected"):
        assert sign not in done.stderr, done.stderr


def assert_intact(folder: Path) -> None:
    verified = run_mpi(folder, "verify", "--embedded", "--json")
    assert json.loads(verified.stdout) == {"violations": []}


@pytest.mark.parametrize("name", ["rows.ndjson", "rows.csv", "rows.ndjson.gz"])
def test_hostile_rows_are_loaded_or_rejected_one_by_one(
    tmp_path: Path, name: str, effort: Effort
) -> None:
    rows = effort(80, 1_500)
    made = hostile_table(5, rows) if ".csv" in name else hostile_rows(5, rows)
    path = tmp_path / name
    path.write_bytes(gzip.compress(made) if name.endswith(".gz") else made)
    done = run_mpi(tmp_path, "load", str(path), "--embedded", "--json")
    assert_kept_to_itself(done)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["rejected"] > 0
    assert report["rows"] - report["rejected"] > rows / 10
    again = json.loads(run_mpi(tmp_path, "load", str(path), "--embedded", "--json").stdout)
    assert again["unchanged"] == report["rows"] - report["rejected"]
    assert_intact(tmp_path)


def test_files_of_any_bytes_end_with_a_sentence(tmp_path: Path, effort: Effort) -> None:
    chance = Random(11)
    path = tmp_path / "rows"
    packed = gzip.compress(hostile_rows(3, 50))
    for number in range(effort(6, 200)):
        path.write_bytes(_no_rows(chance, packed)[number % 12])
        assert_kept_to_itself(run_mpi(tmp_path, "load", str(path), "--embedded"))
    if (tmp_path / "data" / "mpi" / "mpi.sqlite3").exists():
        assert_intact(tmp_path)


def _no_rows(chance: Random, packed: bytes) -> tuple[bytes, ...]:
    damaged = bytearray(packed)
    damaged[chance.randrange(10, len(damaged))] ^= 1 << chance.randrange(8)
    return (
        b"",
        chance.randbytes(2_000),
        b"\x1f\x8b",
        b"\x1f\x8b" + chance.randbytes(500),
        bytes(damaged),
        b"\x00" * 5_000,
        b"\xff\xfe" + f"source,source_id\n{MARK},1\n".encode("utf-16-le"),
        b'"' * 300_001,
        b"a," * 200_000,
        b"{" * 200_000,
        b"\r" * 5_000,
        f"{MARK}\n".encode() * 500,
    )


def _one_line(megabytes: int) -> Iterator[bytes]:
    yield b'{"source":"A","source_id":"1","last_name":"'
    yield from [MARK.encode() * (MEGABYTE // len(MARK))] * megabytes
    yield b'"}\n{"source":"A","source_id":"2","last_name":"After"}\n'


def _one_row(megabytes: int) -> Iterator[bytes]:
    yield b"source,source_id,last_name\nA,1,"
    yield from [b"," * MEGABYTE] * (megabytes // 2)
    yield from [MARK.encode() * (MEGABYTE // len(MARK))] * (megabytes // 2)
    yield b"\nA,2,After\n"


def _one_header(megabytes: int) -> Iterator[bytes]:
    yield from [b"a," * (MEGABYTE // 2)] * megabytes
    yield b"\nA,2,After\n"


@pytest.mark.parametrize(("make", "loaded"), [(_one_line, 1), (_one_row, 1), (_one_header, None)])
def test_a_line_without_end_takes_no_memory_without_end(
    tmp_path: Path, effort: Effort, make: Callable[[int], Iterator[bytes]], loaded: int | None
) -> None:
    path = tmp_path / "rows.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for piece in make(effort(100, 2_000)):
            file.write(piece)
    done, peak_mb = run_apart(tmp_path, "load", str(path), "--embedded", "--json")
    assert_kept_to_itself(done)
    assert peak_mb < REST_MB
    if loaded is not None:
        report = json.loads(done.stdout)
        assert (report["rows"], report["rejected"]) == (2, 1)


MEASURED = """
import sys
from pathlib import Path
from mpi.cli import main

code = main(sys.argv[2:])
Path(sys.argv[1]).write_text(Path("/proc/self/status").read_text())
sys.exit(code)
"""


def run_apart(folder: Path, *arguments: str) -> tuple[Done, int]:
    """Run a command in a process of its own; returns its peak of memory in megabytes too."""
    status = folder / "status"
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(status), *arguments],
        capture_output=True,
        text=True,
        env=environment(folder),
        cwd=folder,
        check=False,
    )
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
    assert found is not None
    return Done(done.returncode, done.stdout, done.stderr), int(found[1]) // 1024


def test_hostile_questions_on_standard_input(tmp_path: Path, effort: Effort) -> None:
    bodies = [attack.raw.partition(b"\r\n\r\n")[2] for attack in attacks(9, effort(40, 1_000))]
    for body in bodies:
        for arguments in (("match",), ("match", "--enroll", "--explain"), ("explain",)):
            done = run_mpi(tmp_path, *arguments, "--embedded", stdin=body)
            assert_kept_to_itself(done)
    assert_intact(tmp_path)
