"""Every command on a real index, as people and programs run them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from mpi.domain.mpi_id import parse_mpi_id
from tests.support.service import command, environment, run_mpi, running

JOHN = {
    "first_name": "John",
    "last_name": "Smith",
    "dob": "1980-01-02",
    "sex": "M",
    "ssn": "424-19-7908",
    "address": "12 Main Street",
    "city": "Los Angeles",
    "state": "CA",
    "zip": "90001",
    "phone": "323-432-4979",
}
ROWS = [
    JOHN | {"source": "HOSP-A", "source_id": "1"},
    JOHN | {"source": "HOSP-B", "source_id": "7", "first_name": "Jon"},
    {
        "source": "HOSP-A",
        "source_id": "2",
        "first_name": "Maria",
        "last_name": "Garcia",
        "dob": "1955-O6-07",
        "sex": "F",
        "city": "Reno",
    },
]


def mpi(folder: Path, *arguments: str, stdin: str = "", code: int = 0) -> str:
    done = run_mpi(folder, *arguments, "--embedded", stdin=stdin)
    assert done.returncode == code, done.stderr
    return done.stdout


def mpi_json(folder: Path, *arguments: str, stdin: str = "", code: int = 0) -> Any:
    return json.loads(mpi(folder, *arguments, "--json", stdin=stdin, code=code))


def as_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    table.writeheader()
    table.writerows(rows)
    return _write(path, text.getvalue())


def as_ndjson(path: Path, rows: list[dict[str, str]]) -> Path:
    return _write(path, "".join(json.dumps(row) + "\n" for row in rows))


def _write(path: Path, text: str) -> Path:
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def crosswalk(folder: Path) -> dict[tuple[str, str], str]:
    path = folder / "crosswalk.csv"
    mpi(folder, "export", "crosswalk", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open() as file:
        assert next(file) == "source,source_id,mpi_id\n"
        return {(source, source_id): mpi_id for source, source_id, mpi_id in csv.reader(file)}


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


def test_match_reads_standard_input_and_only_asks(tmp_path: Path) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    before = mpi_json(tmp_path, "stats")
    for question in (JOHN, {"patient_data": JOHN}, ROWS[0]):
        found = mpi_json(tmp_path, "match", stdin=json.dumps(question))
        assert found["status"] == "matched"
        assert found["mpi_id"] == crosswalk(tmp_path)["HOSP-A", "1"]
    assert mpi_json(tmp_path, "stats") == before
    shown = mpi(tmp_path, "match", "--explain", stdin=json.dumps(JOHN))
    assert "matched" in shown
    assert "prior" in shown


def test_match_takes_fields_as_arguments(tmp_path: Path) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    fields = [f"{name}={value}" for name, value in JOHN.items()]
    assert mpi_json(tmp_path, "match", *fields)["status"] == "matched"


def test_match_can_register(tmp_path: Path) -> None:
    found = mpi_json(tmp_path, "match", "--enroll", stdin=json.dumps(ROWS[0]))
    assert found["status"] == "created"
    assert crosswalk(tmp_path) == {("HOSP-A", "1"): found["mpi_id"]}


def test_explain_shows_rows_that_sum(tmp_path: Path) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    pair = {"left": {"source": "HOSP-A", "source_id": "1"}, "right": {"patient_data": JOHN}}
    found = mpi_json(tmp_path, "explain", stdin=json.dumps(pair))
    assert sum(row["weight"] for row in found["rows"]) == pytest.approx(found["match_weight"])
    assert "sum" in mpi(tmp_path, "explain", stdin=json.dumps(pair))


STRANGE = "[/b]:smile:\x1b[2J\u202e\nshoe\\"
"""The name of a field that would colour, clear and forge what a terminal shows."""


def test_a_field_that_is_no_text_and_a_terminal_without_letters_are_no_crash(
    tmp_path: Path,
) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    narrow = {"PYTHONIOENCODING": "ascii"}
    done = started(tmp_path, narrow, b"match", "last_name=Müller".encode(), "größe=1".encode())
    assert (done.returncode, b"gr\\xf6" in done.stdout) == (0, True), done.stderr
    done = started(tmp_path, narrow, b"match", "größe😀=1".encode(), b"--json")
    assert [w["field"] for w in json.loads(done.stdout)["warnings"]] == ["größe😀"]
    done = started(tmp_path, {}, b"match", b"\xff=1")
    assert (done.returncode, done.stderr) == (1, b"mpi: fields must be text in UTF-8\n")


def started(
    folder: Path, settings: dict[str, str], *arguments: bytes
) -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own, because it is about what the system hands over."""
    return subprocess.run(
        [*command(), *arguments, b"--embedded"],
        env=environment(folder, settings),
        capture_output=True,
        check=False,
    )


def test_what_could_not_be_used_is_shown_without_its_value(tmp_path: Path) -> None:
    damaged = ROWS[2] | {"ssn": "999-99-9999", STRANGE: "44"}
    told = [("dob", "unreadable"), ("ssn", "placeholder"), (STRANGE, "unknown_field")]
    shown_as = {STRANGE: "[/b]:smile:\\x1b[2J\\u202e\\nshoe\\"}
    asked = mpi(tmp_path, "match", "--enroll", stdin=json.dumps(damaged))
    side = {"patient_data": {k: v for k, v in damaged.items() if not k.startswith("source")}}
    pair = {"left": side, "right": {"source": "HOSP-A", "source_id": "2"}}
    compared = mpi(tmp_path, "explain", stdin=json.dumps(pair))
    for shown, place in ((asked, ""), (compared, "left.")):
        lines = [tuple(line.split()) for line in shown.splitlines()]
        expected = {(place + shown_as.get(field, field), code) for field, code in told}
        assert expected <= set(lines)
        assert "999-99" not in shown
        assert "O6" not in shown
    assert "warning" not in mpi(tmp_path, "match", stdin=json.dumps(JOHN))
    warnings = mpi_json(tmp_path, "explain", stdin=json.dumps(pair))["warnings"]
    assert {(w["field"], w["code"]) for w in warnings} == {(f"left.{f}", c) for f, c in told}


def test_person_and_history(tmp_path: Path) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    mpi_id = crosswalk(tmp_path)["HOSP-A", "1"]
    person = mpi_json(tmp_path, "person", mpi_id)
    assert len(person["records"]) == 2
    assert [e["kind"] for e in mpi_json(tmp_path, "person", mpi_id, "--history")] == [
        "created",
        "linked",
    ]
    assert mpi_id in mpi(tmp_path, "person", mpi_id)
    assert "linked" in mpi(tmp_path, "person", mpi_id, "--history")
    assert "nothing" not in mpi(tmp_path, "stats")
    mpi(tmp_path, "person", "MPI-000000000", code=1)


def test_backup_restore_verify(tmp_path: Path) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS[:1])))
    links = crosswalk(tmp_path)
    backup = tmp_path / "backup.mpi"
    mpi(tmp_path, "backup", str(backup))
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    mpi(tmp_path, "restore", str(backup), code=2)
    mpi(tmp_path, "restore", str(backup), "--force")
    assert crosswalk(tmp_path) == links
    assert mpi_json(tmp_path, "verify") == {"violations": []}


def test_a_backup_is_enough_on_another_machine(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    mpi(here, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    links = crosswalk(here)
    mpi(here, "backup", str(tmp_path / "backup.mpi"))
    mpi(there, "restore", str(tmp_path / "backup.mpi"))
    assert crosswalk(there) == links
    assert mpi_json(there, "load", str(tmp_path / "rows.csv"))["unchanged"] == 3


def test_keys(tmp_path: Path) -> None:
    issued = mpi_json(tmp_path, "key", "add", "lab", "--scope", "read", "--scope", "submit")
    listed = mpi_json(tmp_path, "key", "list")
    assert [(key["key_id"], key["name"], key["scopes"]) for key in listed] == [
        (issued["key_id"], "lab", ["read", "submit"])
    ]
    assert issued["secret"] not in json.dumps(listed)
    mpi_json(tmp_path, "key", "revoke", issued["key_id"])
    assert mpi_json(tmp_path, "key", "list")[0]["revoked_at"]
    mpi(tmp_path, "key", "revoke", issued["key_id"], code=1)


def test_keys_need_no_provider(tmp_path: Path) -> None:
    """Where Verato lacks its certificate yet, the key that lets people in can be issued."""
    verato = {
        "MPI_PROVIDER": "verato",
        "VERATO_ENDPOINT": "https://verato.example",
        "VERATO_API_KEY": "user:password",
    }
    kept = {"MPI_STORE": "sqlite", "MPI_CACHE": "memory", "MPI_HMAC_KEY": "k" * 32}
    wanted = ("key", "add", "first", "--scope", "admin", "--json")
    done = run_mpi(tmp_path, *wanted, settings=kept | {"MPI_PROVIDER": "verato"})
    assert done.returncode == 0, done.stderr
    done = run_mpi(tmp_path, *wanted, settings=verato | kept)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["secret"].startswith("mpi_")
    refused = run_mpi(tmp_path, "stats", settings=verato | kept)
    assert (refused.returncode, "certificate" in refused.stderr) == (2, True)


def test_a_first_key_is_issued_only_while_there_is_none(tmp_path: Path) -> None:
    wanted = ("key", "add", "first", "--scope", "admin", "--first")
    first = mpi_json(tmp_path, *wanted)
    assert first["secret"].startswith("mpi_")
    assert mpi_json(tmp_path, *wanted) == {"key_id": None}
    assert len(mpi_json(tmp_path, "key", "list")) == 1
    mpi_json(tmp_path, "key", "revoke", first["key_id"])
    assert mpi_json(tmp_path, *wanted)["key_id"] != first["key_id"]


def test_demo_population_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        done = run_mpi(tmp_path, "demo", "population", str(tmp_path / name), "--rows", "50")
        assert done.returncode == 0
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert (tmp_path / "truth-a.csv").read_text() == (tmp_path / "truth-b.csv").read_text()
    assert mpi_json(tmp_path, "load", str(tmp_path / "a.csv"))["rejected"] == 0


def test_service_and_commands_share_an_index(tmp_path: Path) -> None:
    with running(tmp_path) as service, service.client() as client:
        answer = client.post(
            "/mpi/match", json={"patient_data": JOHN, "source": "A", "source_id": "1"}
        )
        assert answer.json()["status"] == "created"
        found = mpi_json(tmp_path, "match", stdin=json.dumps(JOHN))
        assert found["mpi_id"] == answer.json()["mpi_id"]
        issued = mpi_json(tmp_path, "key", "add", "x", "--scope", "read")
        assert service.stop() in {0, -15}
    with running(tmp_path) as service, service.client() as client:
        assert client.get("/mpi/events").status_code == 401
        with service.client(**{"x-api-key": issued["secret"]}) as known:
            assert len(known.get("/mpi/events").json()["events"]) == 1


def test_a_command_imports_no_driver_that_its_settings_do_not_name(tmp_path: Path) -> None:
    mpi(tmp_path, "key", "add", "x", "--scope", "read")
    unused = "fastapi", "httpx2", "pymongo", "redis"
    prelude = (
        f"import atexit, sys; atexit.register(lambda: print({{*{unused}}} & {{*sys.modules}}))"
    )
    done = subprocess.run(
        command("stats", "--embedded", prelude=prelude),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "set()"
