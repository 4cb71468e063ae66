"""Loading files and pipes, as people and programs do it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from mpi.domain.mpi_id import parse_mpi_id
from tests.support.commands import JOHN, ROWS, as_csv, as_ndjson, crosswalk, mpi_json
from tests.support.service import command, environment, run_mpi


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.ndjson", "rows.ndjson.gz"])
def test_load_links_and_is_idempotent(tmp_path: Path, name: str) -> None:
    write = as_csv if ".csv" in name else as_ndjson
    path = str(write(tmp_path / name, ROWS))
    first = mpi_json(tmp_path, "load", path)
    assert (first["rows"], first["rejected"], first["unchanged"]) == (3, 0, 0)
    assert (first["created"], first["matched"]) == (2, 1)
    links = crosswalk(tmp_path)
    assert links["HOSP-A", "1"] == links["HOSP-B", "7"] != links["HOSP-A", "2"]
    assert all(parse_mpi_id(mpi_id) == mpi_id for mpi_id in links.values())
    before = mpi_json(tmp_path, "stats")
    again = mpi_json(tmp_path, "load", path)
    assert again["unchanged"] == 3
    assert mpi_json(tmp_path, "stats") == before
    assert crosswalk(tmp_path) == links


def test_one_bad_row_is_rejected_alone_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    rows = [json.dumps(ROWS[0]), "{broken", "[]", json.dumps(JOHN), json.dumps(ROWS[2])]
    long = json.dumps(ROWS[0] | {"source_id": "x" * 300})
    path.write_text("\n".join([*rows, "", long]) + "\n")
    rejects = tmp_path / "private" / "rejects.ndjson"
    report = mpi_json(tmp_path, "load", str(path), "--rejects", str(rejects))
    assert (report["rows"], report["rejected"]) == (6, 4)
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [line["line"] for line in lines] == [2, 3, 4, 7]
    assert all(line["detail"] and line["code"] for line in lines)
    assert len(crosswalk(tmp_path)) == 2


def test_rejects_go_to_the_data_directory_by_default(tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    path.write_text("{broken\n" + json.dumps(ROWS[0]))
    report = mpi_json(tmp_path, "load", str(path))
    rejects = Path(report["rejects"])
    assert rejects.is_relative_to(tmp_path / "data" / "mpi")
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600


def test_loads_of_one_name_at_one_moment_keep_their_rejected_rows_apart(tmp_path: Path) -> None:
    reports = []
    for number in range(5):  # two of them, at the least, are within one second
        path = tmp_path / str(number) / ("ü" * 110 + ".ndjson")
        path.parent.mkdir()
        path.write_text(f'{{"source_id": "{number}"}}\n' + json.dumps(ROWS[0]))
        reports.append(mpi_json(tmp_path, "load", str(path)))
    rejected = [json.loads(Path(report["rejects"]).read_text()) for report in reports]
    assert [line["row"]["source_id"] for line in rejected] == list("01234")


def test_a_load_that_rejects_every_row_fails_with_a_sentence(tmp_path: Path) -> None:
    nameless = [{k: v for k, v in row.items() if k != "source"} for row in ROWS]
    path = as_csv(tmp_path / "rows.csv", nameless)
    done = run_mpi(tmp_path, "load", str(path), "--embedded", "--json")
    assert (done.returncode, json.loads(done.stdout)["rejected"]) == (1, len(ROWS))
    assert "every row was rejected" in done.stderr
    assert "--source" in done.stderr
    assert mpi_json(tmp_path, "load", str(path), "--source", "A")["created"] > 0


@pytest.mark.parametrize("options", [["load", "--embedded"], ["evaluate"]])
def test_a_device_is_refused_with_a_sentence(tmp_path: Path, options: list[str]) -> None:
    done = run_mpi(tmp_path, *options, "/dev/zero")
    assert done.returncode == 2
    assert "device" in done.stderr


def test_what_comes_through_a_pipe_is_loaded_and_leaves_no_copy(tmp_path: Path) -> None:
    pipe = tmp_path / "rows"
    os.mkfifo(pipe)
    content = as_csv(tmp_path / "rows.csv", ROWS).read_bytes()
    for unchanged in (0, len(ROWS)):
        writer = threading.Thread(target=pipe.write_bytes, args=(content,))
        writer.start()
        report = mpi_json(tmp_path, "load", str(pipe))
        writer.join()
        assert (report["rows"], report["unchanged"]) == (len(ROWS), unchanged)
    left = {path.name for path in (tmp_path / "data" / "mpi").rglob("*") if path.is_file()}
    assert not [name for name in left if "piped" in name or "load" in name], left


@pytest.mark.parametrize("shell", ['"$@" < rows.csv', 'cat rows.csv | "$@"'])
def test_standard_input_is_loaded(tmp_path: Path, shell: str) -> None:
    as_csv(tmp_path / "rows.csv", ROWS)
    load = command("load", "/dev/stdin", "--embedded", "--json")
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *load],
        capture_output=True,
        env=environment(tmp_path),
        cwd=tmp_path,
        check=True,
    )
    assert json.loads(done.stdout)["rows"] == len(ROWS)


def test_damaged_traits_are_no_damaged_rows(tmp_path: Path) -> None:
    report = mpi_json(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS[2:])))
    assert (report["rejected"], report["with_warnings"]) == (0, 1)


def test_columns_can_be_renamed_and_unknown_ones_are_reported(tmp_path: Path) -> None:
    theirs = [
        {"rec_id": "a", "Given": "Ada", "surname": "Byron", "born": "1815-12-10", "shoe": "36"}
    ]
    path = as_csv(tmp_path / "rows.csv", theirs)
    renames = "rec_id=source_id,Given=first_name,surname=last_name,born=dob"
    report = mpi_json(tmp_path, "load", str(path), "--source", "LAB", "--rename", renames)
    assert report["created"] == 1
    assert report["unknown_columns"] == {"shoe": 1}
    assert list(crosswalk(tmp_path)) == [("LAB", "a")]


def test_rows_in_windows_encoding_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    text = "source,source_id,first_name,last_name\nA,1,José,Muñoz\n"
    path.write_bytes(text.encode("cp1252") + "A,2,José,Muñoz\n".encode())
    assert mpi_json(tmp_path, "load", str(path))["rejected"] == 0
    links = crosswalk(tmp_path)
    names = [
        mpi_json(tmp_path, "person", links["A", source_id])["records"] for source_id in ("1", "2")
    ]
    assert "José" in json.dumps(names[0], ensure_ascii=False)
    assert "José" in json.dumps(names[1], ensure_ascii=False)


def test_a_damaged_gzip_file_stops_with_a_sentence(tmp_path: Path) -> None:
    path = as_ndjson(tmp_path / "rows.ndjson.gz", ROWS * 200)
    path.write_bytes(path.read_bytes()[:-20])
    done = run_mpi(tmp_path, "load", str(path), "--embedded")
    assert done.returncode == 2
    assert "damaged" in done.stderr
    assert len(crosswalk(tmp_path)) == 3
