"""Every other command on a real index, as people and programs run them."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.commands import JOHN, ROWS, as_csv, crosswalk, mpi, mpi_json
from tests.support.refusals import assert_refused
from tests.support.service import command, environment, run_mpi, running
from tests.support.workers import until


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


def test_verify_calls_no_index_broken_that_it_cannot_open(tmp_path: Path) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    (tmp_path / "data" / "mpi" / "mpi.sqlite3-wal").mkdir()
    mpi(tmp_path, "verify", code=2)


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


_HANGING = "import os, time; os.fsync = lambda _: time.sleep(60)"
"""A disk that takes for ever: what is written is there, and not yet in its place."""


@contextmanager
def hanging_backup(
    folder: Path, target: Path, prelude: str = ""
) -> Iterator[subprocess.Popen[str]]:
    """A backup that is killed at the latest when the block ends."""
    before = drafts(target)
    process = subprocess.Popen(
        command("backup", str(target), "--embedded", prelude=f"{_HANGING}\n{prelude}"),
        env=environment(folder),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: not drafts(target) <= before, "a draft")
        yield process
    finally:
        process.kill()
        process.communicate()


def drafts(target: Path) -> set[Path]:
    """Whatever hidden files there are beside the target."""
    return set(target.parent.glob(".*"))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_backup_that_is_stopped_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    target = tmp_path / "backup.mpi"
    with hanging_backup(tmp_path, target) as process:
        process.send_signal(how)
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (130, "")
        assert drafts(target) == set()
    assert not target.exists()


def test_a_backup_that_is_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    as_nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with hanging_backup(tmp_path, tmp_path / "backup.mpi", as_nohup) as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)


def test_the_next_backup_removes_what_a_killed_one_has_left(tmp_path: Path) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    target = tmp_path / "backup.mpi"
    with hanging_backup(tmp_path, target):
        pass
    abandoned = drafts(target)
    assert abandoned
    with hanging_backup(tmp_path, target):
        assert drafts(target).isdisjoint(abandoned)
        mpi(tmp_path, "backup", str(target))
        assert drafts(target), "the one that is being written is not abandoned"


def test_a_load_in_the_background_ends_on_sigterm(tmp_path: Path) -> None:
    """A shell lets its background ignore Ctrl-C; the load still ends in order, and says how to go on."""
    rows = [JOHN | {"source": "A", "source_id": str(number)} for number in range(20_000)]
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    process = subprocess.Popen(
        command("load", str(as_csv(tmp_path / "rows.csv", rows)), "--embedded", prelude=ignoring),
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: any(tmp_path.glob("data/mpi/*.json")), "a checkpoint")
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on from there" in said
    assert "unexpected" not in said
    assert mpi_json(tmp_path, "verify") == {"violations": []}


@pytest.mark.parametrize("broken", ["", "0" * 64, None])
def test_a_backup_is_refused_without_the_key_of_the_index(
    tmp_path: Path, broken: str | None
) -> None:
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    key, backup = tmp_path / "data" / "mpi" / "mpi.sqlite3.key", tmp_path / "backup.mpi"
    right = key.read_text()
    key.unlink() if broken is None else key.write_text(broken)
    done = run_mpi(tmp_path, "backup", str(backup), "--embedded")
    assert_refused(done, "key")
    assert not backup.exists()
    done = run_mpi(tmp_path, "backup", str(backup), "--embedded", settings={"MPI_HMAC_KEY": right})
    assert done.returncode == 0, done.stderr


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


def test_what_a_library_logs_during_a_command_tells_no_values(tmp_path: Path) -> None:
    at_the_end = (
        "import atexit, logging; log = logging.getLogger('pymongo.client'); "
        "atexit.register(lambda: log.error('about %s', 'Smith', exc_info=ValueError('Smith')))"
    )
    done = subprocess.run(
        command("stats", "--embedded", "--json", prelude=at_the_end),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, "there is no index"
    sentence, line = done.stderr.splitlines()
    assert sentence.startswith("mpi: ")
    assert json.loads(line)["error"] == "ValueError"
    assert "Smith" not in done.stderr
