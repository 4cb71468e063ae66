"""How a file becomes a store, and the one sentence when it cannot."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mpi.errors import ConfigurationError, StoreUnavailable
from mpi.stores.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION, connect, unusable
from mpi.stores.sqlite.store import open_store
from tests.contract.changes import change, create, created, key, review
from tests.support.full_disk import files_of_at_most
from tests.support.sqlite_keys import settle_keys

FINGERPRINT = b"fingerprint"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "index.sqlite3"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def size(path: Path) -> int:
    return path.stat().st_size


def files(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def let_others_read(path: Path) -> None:
    path.chmod(0o644)


async def test_the_files_and_their_directory_are_private(path: Path) -> None:
    store = open_store(path, FINGERPRINT)
    await created(store, "1")
    assert mode(path.parent) == 0o700
    assert [mode(file) for file in files(path.parent)] == [0o600] * 3
    store.close()


async def test_a_file_that_others_may_read_is_closed_to_them(path: Path) -> None:
    open_store(path, FINGERPRINT).close()
    let_others_read(path)
    open_store(path, FINGERPRINT).close()
    assert mode(path) == 0o600


async def test_closing_leaves_one_file_and_nothing_is_lost(path: Path) -> None:
    store = open_store(path, FINGERPRINT)
    await created(store, "1")
    store.close()
    store.close()
    assert files(path.parent) == [path]
    with pytest.raises(StoreUnavailable):
        await store.commit(create("2"))
    with pytest.raises(StoreUnavailable):
        await store.position()
    store = open_store(path, FINGERPRINT, create=False)
    assert await store.record(key("1")) is not None
    store.close()


async def test_a_log_that_a_full_disk_does_not_take_is_left_by_closing(path: Path) -> None:
    store = open_store(path, FINGERPRINT)
    for number in range(20):
        await created(store, str(number), *range(number * 1_000, number * 1_000 + 100))
    with files_of_at_most(size(path)):
        store.close()
        assert path.with_name(f"{path.name}-wal") in files(path.parent), "not folded after all"
        again = open_store(path, FINGERPRINT)
        assert (await again.statistics())["records"] == 20
        with pytest.raises(StoreUnavailable):
            await again.commit(create("20", *range(20_000, 21_000)))
        again.close()
    again = open_store(path, FINGERPRINT)
    assert (await again.statistics())["records"] == 20
    again.close()
    assert files(path.parent) == [path]


def test_a_full_disk_is_called_by_its_name(path: Path) -> None:
    open_store(path, FINGERPRINT).close()
    for code in ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"):
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorname, full.sqlite_errorcode = code, getattr(sqlite3, code)
        assert "is full; make room" in unusable(path, full).detail


async def test_the_mark_of_a_demo_stays(path: Path) -> None:
    store = open_store(path, FINGERPRINT)
    assert not await store.is_demo()
    await store.mark_demo()
    store.close()
    store = open_store(path, FINGERPRINT)
    assert await store.is_demo()
    store.close()


async def test_the_database_knows_what_it_is(path: Path) -> None:
    open_store(path, FINGERPRINT).close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert raw.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def not_a_database(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to look at" * 100)


def damaged(path: Path) -> None:
    open_store(path, FINGERPRINT).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)


def somebody_elses(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE song (title TEXT)")


def newer(path: Path) -> None:
    open_store(path, FINGERPRINT).close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def of_another_key(path: Path) -> None:
    open_store(path, b"another").close()


def a_directory(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("prepare", "remedy"),
    [
        (not_a_database, "restore a backup"),
        (damaged, "restore a backup"),
        (somebody_elses, "name another file in MPI_SQLITE_PATH"),
        (newer, "install the newer version"),
        (of_another_key, "set MPI_HMAC_KEY"),
        (a_directory, "name a file in MPI_SQLITE_PATH"),
    ],
)
def test_what_is_no_index_stops_the_start_with_a_remedy(
    path: Path, prepare: Callable[[Path], None], remedy: str
) -> None:
    path.parent.mkdir()
    prepare(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ConfigurationError, match=remedy):
        open_store(path, FINGERPRINT)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_an_unwritable_place_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="name a writable file in MPI_SQLITE_PATH"):
        open_store(tmp_path / "file" / "index.sqlite3", FINGERPRINT)


def test_a_missing_database_is_not_made_when_one_is_expected(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no database"):
        open_store(path, FINGERPRINT, create=False)
    assert not path.exists()


def test_a_database_locked_for_long_stops_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpi.stores.sqlite.schema.OPEN_DEADLINE", 0.05)
    open_store(path, FINGERPRINT).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(ConfigurationError, match="stays locked"):
            open_store(path, FINGERPRINT)


def test_a_connection_waits_while_another_process_closes_the_database(path: Path) -> None:
    """Who closes it last keeps it locked for a moment, in which a command may open it."""
    open_store(path, FINGERPRINT).close()
    closing_one = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    closing_one.execute("PRAGMA locking_mode = EXCLUSIVE")
    closing_one.execute("UPDATE meta SET name = name")
    timer = threading.Timer(0.2, closing_one.close)
    timer.start()
    connect(path).close()
    timer.join()


def test_an_open_connection_waits_for_no_lock(path: Path) -> None:
    """Waiting would hold up every other request of the process; retries are made between them."""
    open_store(path, FINGERPRINT).close()
    with closing(connect(path)) as ours:
        assert ours.execute("PRAGMA busy_timeout").fetchone() == (0,)


FIRST_SCHEMA = """
    DROP TABLE errand;
    DROP TABLE activation;
    DROP TABLE model;
    DROP TABLE blocking_recent;
    DROP TABLE blocking_log;
    ALTER TABLE tally DROP COLUMN recent_keys;
    ALTER TABLE tally DROP COLUMN next_key;
    ALTER TABLE tally DROP COLUMN settled_seq;
    ALTER TABLE tally DROP COLUMN frozen_seq;
    ALTER TABLE tally DROP COLUMN next_span;
    DROP VIEW task_row;
    ALTER TABLE task DROP COLUMN deferred_until;
    CREATE VIEW task_row AS SELECT id FROM task;
    PRAGMA user_version = 1;
"""


async def test_an_older_database_is_brought_forward_with_its_tasks(path: Path) -> None:
    store = open_store(path, FINGERPRINT)
    first = await created(store, "1")
    (task_id,) = (await store.commit(change(tasks=(review("1", first),)))).task_ids
    store.close()
    settle_keys(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(FIRST_SCHEMA)
    store = open_store(path, FINGERPRINT)
    (task,) = await store.tasks(None)
    assert (task.task_id, task.deferred_until) == (task_id, None)
    store.close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
