"""The written population: formats, rights, and all or nothing."""

from __future__ import annotations

import csv
import gzip
import stat
from pathlib import Path

import pytest

from mpi.demo.files import write
from mpi.demo.population import Population
from mpi.demo.registrations import COLUMNS


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_truth_and_relatives_belong_together(tmp_path: Path) -> None:
    rows, truth, related = (tmp_path / name for name in ("rows.csv", "truth.csv", "related.csv"))
    write(Population(800), rows, truth, related)
    registrations, facts, pairs = _table(rows), _table(truth), _table(related)
    assert list(registrations[0]) == COLUMNS
    assert [f"{r['source']}|{r['source_id']}" for r in registrations] == [
        f["rec_id"] for f in facts
    ]
    assert list(facts[0]) == ["rec_id", "entity_id", "household_id", "tags"]
    assert list(pairs[0]) == ["entity_a", "entity_b", "relation"]
    people = {fact["entity_id"] for fact in facts}
    assert all(pair["entity_a"] in people and pair["entity_b"] in people for pair in pairs)


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    write(Population(10), tmp_path / "rows.csv", tmp_path / "truth.csv.gz")
    assert {"rows.csv", "truth.csv.gz"} == {path.name for path in tmp_path.iterdir()}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())


def test_a_name_ending_in_gz_is_compressed_and_reproducible(tmp_path: Path) -> None:
    one, other, plain = (tmp_path / name for name in ("a.csv.gz", "b.csv.gz", "c.csv"))
    write(Population(50), one, tmp_path / "t1.csv")
    write(Population(50), other, tmp_path / "t2.csv")
    write(Population(50), plain, tmp_path / "t3.csv")
    assert one.read_bytes() == other.read_bytes()
    assert plain.read_bytes() == gzip.decompress(one.read_bytes())


def test_an_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(_done: int, _total: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        write(
            Population(2000), tmp_path / "rows.csv", tmp_path / "truth.csv.gz", progress=interrupt
        )
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_survives_an_interrupted_writing(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("older")
    with pytest.raises(FileNotFoundError):
        write(Population(10), rows, tmp_path / "nowhere" / "truth.csv")
    assert rows.read_text() == "older"


def test_progress_ends_at_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write(
        Population(2500),
        tmp_path / "rows.csv",
        tmp_path / "truth.csv",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1000, 2500), (2000, 2500), (2500, 2500)]
