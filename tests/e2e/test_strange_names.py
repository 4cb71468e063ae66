"""Names of files are bytes: they need be no text, and may be too long; a command takes them or says so."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROWS, as_csv, mpi
from tests.support.service import command, environment, run_mpi

NAME = b"m\xfcller"
"""No UTF-8."""


def started(folder: Path, *arguments: bytes, database: bytes = b"") -> tuple[int, bytes, bytes]:
    """A command in a process of its own, because it is about what the system hands over."""
    found = {os.fsencode(k): os.fsencode(v) for k, v in environment(folder).items()}
    named = {b"MPI_SQLITE_PATH": database} if database else {}
    done = subprocess.run(
        [*map(os.fsencode, command()), *arguments],
        env=found | named,
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_files_and_an_index_of_any_name_are_read_and_written(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    rows = tmp_path / os.fsdecode(NAME)
    rows.write_bytes(as_csv(tmp_path / "rows.csv", ROWS).read_bytes() + b",,,,\n")
    for options in ([], [b"--rejects", NAME + b".rejects"]):
        code, told, said = started(
            tmp_path, b"load", NAME, *options, b"--embedded", b"--json", database=NAME + b".db"
        )
        assert code == 0, said
        assert json.loads(told)["rejected"] == 1
    assert b"source_id" in Path(os.fsdecode(folder + b"/" + NAME + b".rejects")).read_bytes()
    for arguments in (
        (b"backup", NAME + b".backup", b"--embedded", b"--json"),
        (b"restore", NAME + b".backup", b"--force", b"--embedded", b"--json"),
        (b"demo", b"population", NAME + b".made", b"--rows", b"5", b"--json"),
    ):
        code, told, said = started(tmp_path, *arguments, database=NAME + b".db")
        assert code == 0, said
        assert "m\\udcfcller" in json.dumps(json.loads(told), ensure_ascii=False).replace(
            "\\\\", "\\"
        )


def test_a_killed_load_of_any_name_is_known_again(tmp_path: Path) -> None:
    """What is noted of a load names its reject file, whose name need be no text."""
    rows = tmp_path / "rows.ndjson"
    good = "".join(json.dumps(ROWS[0] | {"source_id": str(n)}) + "\n" for n in range(60))
    rows.write_text("{broken\n" + good)
    dying = f"import mpi.bulk.resume as r, os; {DIE}"
    named = [b"load", b"rows.ndjson", b"--rejects", NAME, b"--embedded", b"--json"]
    settings = environment(tmp_path, {"BATCH_SIZE": "20"})
    killed = subprocess.run(
        [*map(os.fsencode, command(prelude=dying)), *named],
        env=settings,
        cwd=tmp_path,
        check=False,
        timeout=120,
    )
    assert killed.returncode == 9
    code, told, said = started(tmp_path, *named)
    assert code == 0, said
    report = json.loads(told)
    assert (report["resumed_after"], report["rejected"]) == (60, 1)


DIE = "r.ResumableLoad.finish = lambda self: os._exit(9)"


@pytest.mark.parametrize(
    "arguments",
    [
        ("load", "LONG", "--embedded"),
        ("load", "rows.csv", "--rejects", "LONG", "--embedded"),
        ("export", "crosswalk", "LONG", "--embedded"),
        ("evaluate", "LONG"),
        ("evaluate", "rows.csv", "--truth", "LONG"),
        ("evaluate", "rows.csv", "--report", "LONG"),
        ("train", "--pairs", "LONG", "--embedded"),
        ("train", "--out", "LONG", "--embedded"),
        ("demo", "population", "LONG", "--rows", "5"),
        ("backup", "LONG", "--embedded"),
        ("restore", "LONG", "--force", "--embedded"),
        ("model", "add", "LONG", "--embedded"),
    ],
)
@pytest.mark.parametrize("length", [252, 300])
def test_a_name_that_is_too_long_is_told(
    tmp_path: Path, arguments: tuple[str, ...], length: int
) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    places = {"LONG": str(tmp_path / ("n" * length)), "rows.csv": str(tmp_path / "rows.csv")}
    done = run_mpi(tmp_path, *(places.get(word, word) for word in arguments))
    lines = done.stderr.splitlines()
    if length > 255:
        assert "File name too long" in done.stderr
    assert (len(lines), "unexpected" in done.stderr) == (
        1 if done.returncode else len(lines),
        False,
    )
    if done.returncode:
        assert lines[0].startswith("mpi: ")


def test_a_word_that_is_no_text_names_no_key(tmp_path: Path) -> None:
    mpi(tmp_path, "key", "add", "x", "--scope", "read")
    code, _, said = started(tmp_path, b"key", b"revoke", b"\xff", b"--embedded")
    assert (code, said) == (1, b"mpi: no key of this id is in force\n")
