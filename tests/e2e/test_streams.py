"""Standard streams that are closed, or lead to where nothing can be written, end a command with a sentence."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import ROWS, as_csv, mpi, mpi_json
from tests.support.service import command, environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index and its own model as a document."""
    folder = tmp_path_factory.mktemp("streams")
    mpi(folder, "load", str(as_csv(folder / "rows.csv", ROWS)))
    return folder


def in_shell(folder: Path, streams: str, *arguments: str) -> tuple[int, str]:
    """A command whose streams a shell has led elsewhere; returns its code and what it said on standard error."""
    done = subprocess.run(
        ["sh", "-c", f'"$@" {streams}', "sh", *command(*arguments)],
        env=environment(folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stderr


WRITING = (
    ("stats", "--json", "--embedded"),
    ("stats", "--embedded"),
    ("load", "rows.csv", "--json", "--embedded"),
    ("match", "last_name=x", "--json", "--embedded"),
    ("load", "--help"),
    ("--version",),
)


@pytest.mark.parametrize(
    ("streams", "why"), [(">/dev/full", "No space left"), (">&-", "Bad file descriptor")]
)
@pytest.mark.parametrize("arguments", WRITING)
def test_a_result_that_nobody_gets_is_no_success(
    folder: Path, streams: str, why: str, arguments: tuple[str, ...]
) -> None:
    code, said = in_shell(folder, streams, *arguments)
    assert (code, f"mpi: standard output cannot be written: {why}" in said) == (1, True), said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("streams", [">/dev/full", ">&-"])
def test_a_long_result_and_a_secret_are_no_success_either(folder: Path, streams: str) -> None:
    version = mpi_json(folder, "model", "list")[0]["version"]
    long = ("model", "show", version, "--document", "--embedded")
    secret = ("key", "add", "x", "--scope", "read", "--embedded")
    for arguments in (long, secret, ("serve", "--help")):
        code, said = in_shell(folder, streams, *arguments)
        assert (code, "standard output cannot be written" in said) == (1, True), said
        assert "unexpected" not in said


def test_who_has_read_enough_hears_nothing_more(folder: Path) -> None:
    version = mpi_json(folder, "model", "list")[0]["version"]
    shown = ("model", "show", version, "--document", "--embedded")
    assert in_shell(folder, "| head -n 1", *shown) == (0, "")


@pytest.mark.parametrize("asked", ["match", "explain"])
def test_a_question_without_standard_input_is_told(folder: Path, asked: str) -> None:
    code, said = in_shell(folder, "<&-", asked, "--embedded")
    assert (code, "mpi: standard input cannot be read" in said) == (2, True), said
    assert len(said.splitlines()) == 1


def test_no_stream_that_is_closed_gives_its_number_to_the_database(folder: Path) -> None:
    for streams in ("2>&-", "<&- 2>&-", "<&- >&- 2>&-"):
        code, _ = in_shell(folder, streams, "match", "--embedded")
        assert code != 0
        code, _ = in_shell(folder, streams, "load", "rows.csv", "--embedded")
        assert code == (1 if ">&- 2" in streams else 0)
    assert mpi_json(folder, "verify") == {"violations": []}
    assert json.loads(mpi(folder, "stats", "--json"))["records"] == len(ROWS)
