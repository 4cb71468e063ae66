"""A whole index moves between the stores and back, and nothing of it is lost."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from fcntl import LOCK_EX, flock
from pathlib import Path
from shutil import copy2
from typing import Any
from unittest.mock import DEFAULT, AsyncMock, Mock

import pytest
from pymongo import MongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect

from bench.daemons import Mongod
from mpi.cli import INTERRUPTED
from mpi.matching.model import load_default_model
from mpi.stores.mongodb import schema
from mpi.stores.mongodb.transfer import MongoTransfer
from mpi.stores.transfer import check_equal
from tests.support.full_disk import files_of_at_most
from tests.support.index import MARGA, MARGA_BY_BIRTH, MARGA_BY_NUMBER, MARGA_IN_DOUBT, OTTO
from tests.support.refusals import assert_refused
from tests.support.service import Done, command, environment, on_mongodb, run_mpi
from tests.support.sqlite_keys import all_keys

KEY = on_mongodb("", "").settings["MPI_HMAC_KEY"]
ROWS = [MARGA_BY_NUMBER, MARGA_BY_BIRTH, MARGA, MARGA_IN_DOUBT, OTTO, OTTO]
QUEUE = "INSERT INTO errand VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
ERRANDS = [
    ('post [["A","1"]]', "post", 1, 7, 8, 0, None, None, 0, 1, 0),
    ('post [["A","2"]]', "post", 0, 7, 9, 2, "no_connection", None, 3, 2, 11),
    ("listen []", "listen", 1, 7, 8, 0, None, "2026-03-01T12:00:00Z", 1, 1, 0),
]
PASSED_OVER = 1_000_185
"""The last number of a task, where a restore left numbers out that may have been told."""
PARTS = ("event", "person", "record", "task", "api_key", "model", "activation")


def settings(folder: Path, mongod: Mongod, database: str, name: str = "here") -> dict[str, str]:
    return {
        "MPI_SQLITE_PATH": str(folder / f"{name}.sqlite3"),
        "MONGODB_URI": mongod.uri,
        "MPI_DB": database,
        "MPI_HMAC_KEY": KEY,
    }


@pytest.fixture
def here(tmp_path: Path, mongod: Mongod, database: str, checkout: Path) -> dict[str, str]:
    """An index with a merge, a task, an update, a deletion, a key, a model, what is to be said elsewhere, and calls."""
    given = settings(tmp_path, mongod, database)
    rows = [row | {"source": "A", "source_id": str(n)} for n, row in enumerate(ROWS)]
    rows.append(OTTO | {"source": "A", "source_id": "4", "phone": "503-555-0199"})
    file = tmp_path / "rows.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run_mpi(tmp_path, "load", str(file), "--embedded", settings=given).returncode == 0
    key = ("key", "add", "ann", "--scope", "read", "--scope", "submit")
    assert run_mpi(tmp_path, *key, "--embedded", settings=given).returncode == 0
    for wish in (
        ("add", str(checkout / "src/mpi/matching/data/model.json")),
        ("activate", load_default_model().version, "--reason", "keep it"),
    ):
        assert run_mpi(tmp_path, "model", *wish, "--embedded", settings=given).returncode == 0
    with closing(sqlite3.connect(given["MPI_SQLITE_PATH"])) as database_file:
        database_file.executemany(QUEUE, ERRANDS)
        database_file.execute(
            "UPDATE sqlite_sequence SET seq = ? WHERE name = 'task'", (PASSED_OVER,)
        )
        database_file.execute(
            "INSERT INTO meta VALUES ('calls 2026-11', x'37'), ('calls 2026-12', x'393030')"
        )
        database_file.commit()
    return given


def moved(folder: Path, origin: str, goal: str, given: dict[str, str]) -> Done:
    return run_mpi(folder, "migrate", "--from", origin, "--to", goal, "--json", settings=given)


def content(path: str) -> dict[str, list[Any]]:
    """Every row of every table of a file; blocking keys may lie in any of three, and move on when they like."""
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("""SELECT name FROM sqlite_schema
            WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'blocking_%'""")
        wanted = {name: f"SELECT * FROM {name}" for (name,) in found}
        wanted["numbers"] = "SELECT * FROM sqlite_sequence"
        wanted["tally"] = (
            "SELECT minted, records, persons, retired, tasks_open, assertions FROM tally"
        )
        rows = {name: sorted(database.execute(text), key=repr) for name, text in wanted.items()}
    return rows | {"keys": all_keys(Path(path))}


def test_an_index_moves_to_mongodb_and_back_unchanged(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    there = moved(tmp_path, "sqlite", "mongodb", here)
    assert there.returncode == 0, there.stderr
    profile = on_mongodb(mongod.uri, database)
    expected = run_mpi(tmp_path, "stats", "--embedded", "--json", settings=here).stdout
    assert profile.run(tmp_path, "stats", "--json").stdout == expected
    again = settings(tmp_path, mongod, database, "again")
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        meta = {document["_id"]: document for document in client[database]["meta"].find()}
    assert meta["calls 2026-12"]["spent"] == 900
    assert meta["head"]["last_task"] == PASSED_OVER
    back = moved(tmp_path, "mongodb", "sqlite", again)
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["digest"] == json.loads(there.stdout)["digest"]
    assert content(here["MPI_SQLITE_PATH"]) == content(again["MPI_SQLITE_PATH"])


LATE = OTTO | {"source": "B", "source_id": "1"}


@pytest.mark.parametrize("late", ["registration", "revocation"])
@pytest.mark.parametrize("moment", ["copied", "finished"])
def test_what_is_acknowledged_after_the_comparison_is_not_lost_in_silence(
    tmp_path: Path, here: dict[str, str], late: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a service that nobody stopped."""
    (tmp_path / "late.ndjson").write_text(json.dumps(LATE))

    def write() -> None:
        if late == "registration":
            load = command("load", str(tmp_path / "late.ndjson"), "--embedded", "--json")
            subprocess.run(load, env=environment(tmp_path, here), check=True, capture_output=True)
        else:
            with closing(sqlite3.connect(here["MPI_SQLITE_PATH"])) as raw:
                raw.execute("UPDATE api_key SET revoked_at = 1")
                raw.commit()

    finish = MongoTransfer.finish

    async def compared(*given: Any) -> str:
        told = await check_equal(*given)
        write()
        return told

    async def finished(*given: Any) -> None:
        await finish(*given)
        write()

    if moment == "copied":
        monkeypatch.setattr("mpi.commands.migration.check_equal", compared)
    else:
        monkeypatch.setattr(MongoTransfer, "finish", finished)
    assert_refused(moved(tmp_path, "sqlite", "mongodb", here), "changed", "migrate again")


def test_a_log_that_another_file_left_behind_is_not_taken_for_that_of_the_copy(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    """What remains where somebody removed the database only, after its process was killed."""
    assert moved(tmp_path, "sqlite", "mongodb", here).returncode == 0
    again = settings(tmp_path, mongod, database, "again")
    with closing(sqlite3.connect(here["MPI_SQLITE_PATH"])) as open_elsewhere:
        open_elsewhere.execute("UPDATE person SET version = version + 1")
        open_elsewhere.commit()
        for ending in ("-wal", "-shm"):
            copy2(here["MPI_SQLITE_PATH"] + ending, again["MPI_SQLITE_PATH"] + ending)
        open_elsewhere.execute("UPDATE person SET version = version - 1")
        open_elsewhere.commit()
    back = moved(tmp_path, "mongodb", "sqlite", again)
    assert back.returncode == 0, back.stderr
    assert content(here["MPI_SQLITE_PATH"]) == content(again["MPI_SQLITE_PATH"])


@pytest.mark.parametrize("part", PARTS)
def test_a_migration_that_was_interrupted_goes_on(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str], part: str
) -> None:
    """What a killed run leaves: some of the rows, and no head."""
    assert moved(tmp_path, "sqlite", "mongodb", here).returncode == 0
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        copy = client[database]
        head = copy["meta"].find_one_and_delete({"_id": "head"})
        assert head is not None
        state = ("schema", "fingerprint", "minted", "demo", "position", "last_task")
        calls = [["calls 2026-11", 7], ["calls 2026-12", 900]]
        copy["meta"].insert_one(
            {"_id": "transfer", "calls": calls} | {name: head[name] for name in state}
        )
        last = copy[part].find_one({}, sort=[("_id", -1)])
        assert last is not None
        copy[part].delete_one({"_id": last["_id"]})
    refused = on_mongodb(mongod.uri, database).run(tmp_path, "stats")
    assert_refused(refused, "mpi migrate", "MPI_DB")
    done = moved(tmp_path, "sqlite", "mongodb", here)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows_there_before"] > 0


def test_a_copy_that_only_lacked_its_name_gets_it(
    tmp_path: Path,
    mongod: Mongod,
    database: str,
    here: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that is killed after its last transaction, as by a power cut."""
    assert moved(tmp_path, "sqlite", "mongodb", here).returncode == 0
    again = settings(tmp_path, mongod, database, "again")
    with monkeypatch.context() as killed:
        killed.setattr("mpi.stores.sqlite.transfer.drop_log", Mock(side_effect=KeyboardInterrupt))
        assert moved(tmp_path, "mongodb", "sqlite", again).returncode == INTERRUPTED
    assert not Path(again["MPI_SQLITE_PATH"]).exists()
    back = moved(tmp_path, "mongodb", "sqlite", again)
    assert back.returncode == 0, back.stderr
    assert content(here["MPI_SQLITE_PATH"]) == content(again["MPI_SQLITE_PATH"])


@pytest.mark.parametrize(
    "call",
    ["insert_many", "insert_one", "find_one", "count_documents", "create_indexes", "replace_one"],
)
def test_a_failing_server_is_no_defect_of_ours(
    tmp_path: Path, here: dict[str, str], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(AsyncCollection, call, AsyncMock(side_effect=AutoReconnect))
        told = moved(tmp_path, "sqlite", "mongodb", here)
    assert told.returncode == 1
    assert "MongoDB" in told.stderr
    assert "repeat the command" in told.stderr
    done = moved(tmp_path, "sqlite", "mongodb", here)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_no_defect_of_ours(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    assert moved(tmp_path, "sqlite", "mongodb", here).returncode == 0
    again = settings(tmp_path, mongod, database, "again")
    refused = 0
    for room in range(24, 1_000, 32):
        with files_of_at_most(room * 1024):
            back = moved(tmp_path, "mongodb", "sqlite", again)
        if back.returncode == 0:
            break
        assert_refused(back, "again.sqlite3", "MPI_SQLITE_PATH")
        refused += 1
    assert refused > 3
    assert content(here["MPI_SQLITE_PATH"]) == content(again["MPI_SQLITE_PATH"])


def test_two_migrations_to_one_place_are_told_apart(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    assert moved(tmp_path, "sqlite", "mongodb", here).returncode == 0
    again = settings(tmp_path, mongod, database, "again")
    with Path(again["MPI_SQLITE_PATH"] + ".part").open("wb") as draft:
        flock(draft, LOCK_EX)
        refused = moved(tmp_path, "mongodb", "sqlite", again)
    assert_refused(refused, "again.sqlite3.part", "another `mpi migrate`")


def test_two_migrations_to_one_database_are_told_apart(
    tmp_path: Path, here: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = MongoTransfer.add

    async def twice(self: MongoTransfer, *given: Any) -> None:
        await add(self, *given)
        await add(self, *given)

    monkeypatch.setattr(MongoTransfer, "add", twice)
    refused = moved(tmp_path, "sqlite", "mongodb", here)
    assert_refused(refused, "MPI_DB", "another `mpi migrate`")


@pytest.mark.parametrize("call", ["make_collection", "make_collections"])
def test_a_database_is_known_as_begun_from_its_first_collection_on(
    tmp_path: Path, here: dict[str, str], call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        step = AsyncMock(wraps=getattr(schema, call), side_effect=[DEFAULT, KeyboardInterrupt])
        if call == "make_collections":
            step.side_effect = KeyboardInterrupt
        killed.setattr(f"mpi.stores.mongodb.transfer.{call}", step)
        assert moved(tmp_path, "sqlite", "mongodb", here).returncode == INTERRUPTED
    done = moved(tmp_path, "sqlite", "mongodb", here)
    assert done.returncode == 0, done.stderr


def test_a_copy_that_is_whole_is_only_compared(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    """A run that was killed before its last look, or that somebody repeats."""
    assert moved(tmp_path, "sqlite", "mongodb", here).returncode == 0
    again = moved(tmp_path, "sqlite", "mongodb", here)
    assert again.returncode == 0, again.stderr
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client[database]["errand"].delete_many({})  # by a service that told them
    assert_refused(moved(tmp_path, "sqlite", "mongodb", here), "differs")
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        assert client[database]["errand"].count_documents({}) == 0


def test_a_target_that_holds_an_index_is_left_alone(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    assert moved(tmp_path, "sqlite", "mongodb", here).returncode == 0
    (tmp_path / "late.ndjson").write_text(json.dumps(LATE))
    served = on_mongodb(mongod.uri, database).run(tmp_path, "load", str(tmp_path / "late.ndjson"))
    assert served.returncode == 0, served.stderr
    assert_refused(moved(tmp_path, "sqlite", "mongodb", here), "MPI_DB", "not empty")
    assert_refused(moved(tmp_path, "mongodb", "sqlite", here), "MPI_SQLITE_PATH", "exists")


def test_a_copy_that_is_not_whole_is_no_source(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client[database]["meta"].insert_one({"_id": "transfer"})
    again = settings(tmp_path, mongod, database, "again")
    assert_refused(moved(tmp_path, "mongodb", "sqlite", again), "MPI_DB", "mpi migrate")


def test_a_source_of_an_older_version_is_left_as_it_is(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    assert moved(tmp_path, "sqlite", "mongodb", here).returncode == 0
    again = settings(tmp_path, mongod, database, "again")
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        meta = client[database]["meta"]
        meta.update_one({"_id": "head"}, {"$set": {"schema": 2}})
        refused = moved(tmp_path, "mongodb", "sqlite", again)
        assert_refused(refused, "schema 2 of an older version", "mpi stats")
        assert (meta.find_one({"_id": "head"}) or {})["schema"] == 2
    with closing(sqlite3.connect(here["MPI_SQLITE_PATH"])) as raw:
        raw.execute("DROP TABLE errand")
        raw.execute("PRAGMA user_version = 3")
    elsewhere = here | {"MPI_DB": f"{database}-2"}
    refused = moved(tmp_path, "sqlite", "mongodb", elsewhere)
    assert_refused(refused, "schema 3 of an older version", "mpi stats")


def test_a_migration_needs_two_stores_and_the_key(
    tmp_path: Path, mongod: Mongod, database: str, here: dict[str, str]
) -> None:
    assert_refused(moved(tmp_path, "sqlite", "sqlite", here), "--from", "--to")
    assert_refused(moved(tmp_path, "mongodb", "sqlite", here | {"MPI_SQLITE_PATH": "x"}), "MPI_DB")
    other = here | {"MPI_HMAC_KEY": KEY[::-1]}
    assert_refused(moved(tmp_path, "sqlite", "mongodb", other), "MPI_HMAC_KEY")


def test_a_broken_index_is_not_moved(tmp_path: Path, mongod: Mongod, here: dict[str, str]) -> None:
    with closing(sqlite3.connect(here["MPI_SQLITE_PATH"])) as raw:
        raw.execute("UPDATE tally SET persons = persons + 1")
        raw.commit()
    assert_refused(moved(tmp_path, "sqlite", "mongodb", here), "wrong_tally", "mpi verify")
