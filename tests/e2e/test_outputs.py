"""What a command writes takes the place of nothing that must stay: no index, no key, no input, no pipe."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.support.commands import JOHN, ROWS, as_csv, mpi, mpi_json
from tests.support.full_disk import files_of_at_most
from tests.support.refusals import assert_refused
from tests.support.service import run_mpi

ENDINGS = ("", ".key", "-wal", "-shm")
BROKEN = "{broken\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an index, tables, a name that leads to the index, and a pipe."""
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    (tmp_path / "bad.ndjson").write_text(BROKEN)
    (tmp_path / "pairs.csv").write_text("source_a,source_id_a,source_b,source_id_b,same\n")
    (tmp_path / "linked.sqlite3").symlink_to(index(tmp_path))
    os.link(index(tmp_path), tmp_path / "hard.sqlite3")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def index(folder: Path, ending: str = "") -> Path:
    return folder / "data" / "mpi" / f"mpi.sqlite3{ending}"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WRITING = {
    "crosswalk": ("export", "crosswalk", "OUT", "--embedded"),
    "verdicts": ("export", "verdicts", "OUT", "--embedded"),
    "rejects": ("load", "IN/bad.ndjson", "--rejects", "OUT", "--embedded"),
    "report": ("evaluate", "IN/rows.csv", "--report", "OUT"),
    "model": ("train", "--out", "OUT", "--embedded"),
    "population": ("demo", "population", "OUT", "--rows", "5"),
    "truth": ("demo", "population", "IN/made.csv", "--rows", "5", "--truth", "OUT"),
    "backup": ("backup", "OUT", "--embedded"),
}


def written(folder: Path, writing: str, out: Path) -> tuple[str, ...]:
    named = [word.replace("IN/", f"{folder}/") for word in WRITING[writing]]
    return tuple(str(out) if word == "OUT" else word for word in named)


@pytest.mark.parametrize("writing", WRITING)
def test_no_command_writes_over_an_index_or_into_a_pipe(folder: Path, writing: str) -> None:
    before = contents(folder)
    links = [folder / "linked.sqlite3", folder / "hard.sqlite3", folder / "linked.sqlite3-wal"]
    for out in [*(index(folder, ending) for ending in ENDINGS), *links]:
        assert_refused(run_mpi(folder, *written(folder, writing, out)), "a file of an index")
    assert_refused(run_mpi(folder, *written(folder, writing, folder / "pipe")), "device")
    assert (folder / "pipe").is_fifo()
    assert contents(folder) == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_index_that_is_not_there_yet_is_kept_free_too(tmp_path: Path, ending: str) -> None:
    (tmp_path / "bad.ndjson").write_text(BROKEN)
    done = run_mpi(tmp_path, *written(tmp_path, "rejects", index(tmp_path, ending)))
    assert_refused(done, "a file of an index")
    assert not index(tmp_path).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("load", "bad.ndjson", "--rejects", "bad.ndjson", "--embedded"),
        ("load", "same.ndjson", "--rejects", "bad.ndjson", "--embedded"),
        ("load", ".x.draft", "--rejects", "x", "--embedded"),
        ("evaluate", "rows.csv", "--report", "rows.csv"),
        ("evaluate", "rows.csv", "--truth", "pairs.csv", "--report", "pairs.csv"),
        ("evaluate", "rows.csv", "--related", "pairs.csv", "--report", "pairs.csv"),
        ("evaluate", "rows.csv", "--model", "pairs.csv", "--report", "pairs.csv"),
        ("train", "--pairs", "pairs.csv", "--out", "pairs.csv", "--embedded"),
        ("demo", "population", "made.csv", "--rows", "5", "--truth", "made.csv"),
    ],
)
def test_no_command_writes_over_what_it_reads_or_writes(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    (folder / "same.ndjson").symlink_to(folder / "bad.ndjson")
    (folder / ".x.draft").write_text(BROKEN)
    before = contents(folder)
    named = [str(folder / word) if "." in word else word for word in arguments]
    named = [str(folder / "x") if word == "x" else word for word in named]
    assert_refused(run_mpi(folder, *named), "reads or writes itself; name another file")
    assert contents(folder) == before


@pytest.mark.parametrize("writing", ["crosswalk", "rejects", "population", "pipe"])
def test_a_full_disk_is_told_in_one_sentence(folder: Path, writing: str) -> None:
    long = [{"source": "A", "source_id": f"{number:0250}"} for number in range(300)]
    mpi(folder, "load", str(as_csv(folder / "long.csv", long)))
    (folder / "bad.ndjson").write_text(('{"last_name": "' + "x" * 900_000 + '"}\n') * 10)
    out = folder / "made.out"
    named = written(folder, writing if writing in WRITING else "rejects", out)
    if writing == "pipe":
        named = ("load", str(folder / "pipe"), "--embedded")
        Thread(target=_poured, args=(folder,), daemon=True).start()
    # Room for what is read, which takes a file of 32 KB beside the database, or for what is loaded.
    with files_of_at_most(50_000 if writing in {"crosswalk", "population"} else 4_000_000):
        rows = ("--rows", "1000") if writing == "population" else ()
        done = run_mpi(folder, *named, *rows)
    place = folder / "data" / "mpi" if writing == "pipe" else out
    assert_refused(done, str(place), "File too large; make room there, or name another")
    assert not out.exists()


def _poured(folder: Path) -> None:
    with suppress(BrokenPipeError):
        (folder / "pipe").write_bytes((folder / "bad.ndjson").read_bytes())


def test_other_files_are_replaced_still(folder: Path) -> None:
    for writing in ("crosswalk", "rejects", "population"):
        out = folder / f"{writing}.mpi.key"
        out.write_text("old")
        run_mpi(folder, *written(folder, writing, out))
        assert out.read_text() != "old"
    assert mpi_json(folder, "verify") == {"violations": []}
    assert mpi_json(folder, "match", *[f"{name}={value}" for name, value in JOHN.items()])
