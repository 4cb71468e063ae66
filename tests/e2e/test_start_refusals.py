"""A start that cannot succeed ends with one sentence that says what is wrong and how to mend it."""

from __future__ import annotations

import socket
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.refusals import SECRET, assert_refused
from tests.support.service import environment, free_port, run_mpi

EMBEDDED = {"MPI_PROVIDER": "internal", "MPI_STORE": "sqlite", "MPI_CACHE": "memory"}


def index_of(folder: Path) -> Path:
    return folder / "data" / "mpi" / "mpi.sqlite3"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A fresh index in the default place."""
    assert (
        run_mpi(tmp_path, "key", "add", "somebody", "--scope", "read", "--embedded").returncode == 0
    )
    assert run_mpi(tmp_path, "key", "list", "--embedded").returncode == 0
    return index_of(tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ("MPI_PROVIDER=verato", "--embedded")),
        ({"VERATO_API_KEY": SECRET}, ("MPI_PROVIDER=verato", "--embedded")),
        ({"MPI_PROVIDER": "hybrid"}, ("MPI_PROVIDER=hybrid", "--embedded")),
        ({"MPI_PROVIDER": SECRET}, ("MPI_PROVIDER must be verato, internal or hybrid",)),
        ({"MPI_PROVIDER": "internal", "MPI_CACHE": "memory"}, ("MPI_HMAC_KEY",)),
        (EMBEDDED | {"MPI_CACHE": "redis,memory"}, ("MPI_CACHE must be", "memory first")),
        (EMBEDDED | {"REDIS_POOL_SIZE": "0"}, ("REDIS_POOL_SIZE must be a whole number",)),
        (EMBEDDED | {"MPI_REDIS_CA": f"/nowhere/{SECRET}"}, ("MPI_REDIS_CA must be",)),
        (EMBEDDED | {"MPI_PORT": SECRET}, ("MPI_PORT must be a port number",)),
        (EMBEDDED | {"BATCH_SIZE": "0"}, ("BATCH_SIZE must be a whole number",)),
        (EMBEDDED | {"MPI_WORKERS": "-1"}, ("MPI_WORKERS must be",)),
        (EMBEDDED | {"MPI_HMAC_KEY": "too short"}, ("MPI_HMAC_KEY must be",)),
        (EMBEDDED | {"MPI_SQLITE_PATH": "/"}, ("MPI_SQLITE_PATH must be the path of",)),
        (EMBEDDED | {"MPI_PLACEHOLDERS": '{"name": "X"}'}, ("MPI_PLACEHOLDERS must be",)),
        (EMBEDDED | {"MPI_HOST": "256.1.1.1"}, ("MPI_HOST",)),
        (EMBEDDED | {"MPI_HOST": "a..b"}, ("MPI_HOST",)),
        (EMBEDDED | {"MPI_HOST": "a" * 64}, ("MPI_HOST",)),
        (EMBEDDED | {"MPI_HMAC_KEY": "\udcff" * 40}, ("MPI_HMAC_KEY must be text in UTF-8",)),
    ],
)
def test_settings(tmp_path: Path, settings: dict[str, str], words: tuple[str, ...]) -> None:
    assert_refused(run_mpi(tmp_path, "serve", settings=settings), *words)


def test_a_simulated_verato_is_not_asked_about_real_patients(tmp_path: Path) -> None:
    done = run_mpi(tmp_path, "serve", "--embedded", "--verato-simulator")
    assert_refused(done, "--verato-simulator is for the demo")


def test_the_original_entry_point_says_the_same(tmp_path: Path, checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(checkout / "src" / "main.py")],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert_refused(done, "MPI_PROVIDER=verato", "--embedded")


def test_port_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_refused(
            run_mpi(tmp_path, "serve", "--embedded", "--port", port), "MPI_PORT", "--port"
        )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_reachable_without_a_key(tmp_path: Path, host: str) -> None:
    port = str(free_port())
    done = run_mpi(tmp_path, "serve", "--embedded", "--host", host, "--port", port)
    assert_refused(done, "MPI_HOST", "mpi key add")


def test_a_revoked_key_does_not_open_the_network(tmp_path: Path, index: Path) -> None:
    key_id = run_mpi(tmp_path, "key", "list", "--embedded").stdout.splitlines()[1].split()[0]
    assert run_mpi(tmp_path, "key", "revoke", key_id, "--embedded").returncode == 0
    done = run_mpi(tmp_path, "serve", "--embedded", "--host", "0.0.0.0", "--port", str(free_port()))
    assert_refused(done, "mpi key add")


def test_unwritable_path(tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    settings = {"MPI_SQLITE_PATH": str(blocked / "index.sqlite3")}
    done = run_mpi(tmp_path, "serve", "--embedded", settings=settings)
    assert_refused(done, "MPI_SQLITE_PATH")


def test_path_is_a_directory(tmp_path: Path) -> None:
    done = run_mpi(
        tmp_path,
        "serve",
        "--embedded",
        settings={"MPI_SQLITE_PATH": str(tmp_path), "MPI_HMAC_KEY": SECRET},
    )
    assert_refused(done, "MPI_SQLITE_PATH")


def test_corrupt_database(tmp_path: Path, index: Path) -> None:
    index.write_bytes(b"this is no database, " * 400)
    assert_refused(run_mpi(tmp_path, "serve", "--embedded"), "damaged", "restore")


def test_another_programs_database(tmp_path: Path, index: Path) -> None:
    index.unlink()
    with sqlite3.connect(index) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    assert_refused(run_mpi(tmp_path, "serve", "--embedded"), "MPI_SQLITE_PATH")


def test_a_file_of_somebody_else_keeps_its_mode(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("no index at all")
    foreign.chmod(0o644)
    settings = {"MPI_SQLITE_PATH": str(foreign), "MPI_HMAC_KEY": SECRET}
    refused = run_mpi(tmp_path, "stats", "--embedded", settings=settings)
    assert_refused(refused, "notes.txt", "MPI_SQLITE_PATH")
    assert stat.S_IMODE(foreign.stat().st_mode) == 0o644


def test_newer_schema(tmp_path: Path, index: Path) -> None:
    with sqlite3.connect(index) as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    assert_refused(run_mpi(tmp_path, "serve", "--embedded"), "9999", "newer version")


def test_another_hmac_key(tmp_path: Path, index: Path) -> None:
    done = run_mpi(tmp_path, "serve", "--embedded", settings={"MPI_HMAC_KEY": SECRET})
    assert_refused(done, "another HMAC key", "MPI_HMAC_KEY")


def test_a_folder_in_the_place_of_the_index_is_called_so_without_a_key_too(tmp_path: Path) -> None:
    settings = {"MPI_SQLITE_PATH": str(tmp_path)}
    for command in ("serve", "stats"):
        refused = run_mpi(tmp_path, command, "--embedded", settings=settings)
        assert_refused(refused, "is not a file", "MPI_SQLITE_PATH")


def test_missing_hmac_key_file(tmp_path: Path, index: Path) -> None:
    index.with_name("mpi.sqlite3.key").unlink()
    assert_refused(run_mpi(tmp_path, "serve", "--embedded"), "key file", "MPI_HMAC_KEY")


def test_damaged_hmac_key_file(tmp_path: Path, index: Path) -> None:
    index.with_name("mpi.sqlite3.key").write_text("short")
    assert_refused(run_mpi(tmp_path, "serve", "--embedded"), "damaged")


def test_the_demo_never_mixes_with_a_real_index(tmp_path: Path, index: Path) -> None:
    row = '{"source": "HOSP-A", "source_id": "1", "last_name": "Real"}\n'
    (tmp_path / "one.ndjson").write_text(row)
    assert run_mpi(tmp_path, "load", str(tmp_path / "one.ndjson"), "--embedded").returncode == 0
    settings = {"MPI_SQLITE_PATH": str(index)}
    done = run_mpi(tmp_path, "serve", "--embedded", "--demo", settings=settings)
    assert_refused(done, "MPI_SQLITE_PATH", "--demo")


def test_commands_make_no_index_by_asking(tmp_path: Path) -> None:
    for arguments in (("stats",), ("verify",), ("person", "MPI-000000000"), ("key", "list")):
        done = run_mpi(tmp_path, *arguments, "--embedded")
        assert_refused(done, "there is no")
    assert not index_of(tmp_path).exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--port", SECRET),
        ("serve", f"--{SECRET}"),
        ("match", SECRET, "--unknown", SECRET),
        (SECRET,),
        ("person", "MPI-000000000", SECRET),
        ("key", "add", "x", "--scope"),
    ],
)
def test_a_misused_command_repeats_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert_refused(run_mpi(tmp_path, *arguments), "--help")
