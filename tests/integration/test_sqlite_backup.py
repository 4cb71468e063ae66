"""A backup of a running index, and the way back."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mpi.domain.mpi_id import format_mpi_id
from mpi.errors import ConfigurationError
from mpi.stores.fingerprint import fingerprint
from mpi.stores.sqlite.backup import backup_store, key_file, restore_store
from mpi.stores.sqlite.schema import SCHEMA_VERSION
from mpi.stores.sqlite.store import SqliteStore, open_store
from mpi.stores.sqlite.verify import verify_store
from tests.contract.changes import change, created, key, review
from tests.support.full_disk import files_of_at_most

SECRET = b"the key of this index, 32 bytes."
ANOTHER = b"the key of another one, 32 bytes"
FINGERPRINT = fingerprint(SECRET)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "index.sqlite3"
    key_file(path).write_bytes(SECRET)
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = open_store(path, FINGERPRINT)
    yield store
    store.close()


@pytest.fixture
async def backup(store: SqliteStore, path: Path, tmp_path: Path) -> Path:
    """A backup of an index of one record."""
    await created(store, "1", 10)
    target = tmp_path / "backup"
    backup_store(path, target, hmac_key=SECRET)
    return target


def read(path: Path) -> bytes:
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def noise(path: Path) -> None:
    """Something that is no database."""
    path.write_bytes(b"noise" * 1_000)


def remove(path: Path) -> None:
    path.unlink()


def forget_key(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DELETE FROM meta WHERE name = 'hmac_fingerprint'")


def enclose(backup: Path, secret: bytes) -> None:
    """As versions did that did not look whose key it was."""
    with closing(sqlite3.connect(backup)) as raw, raw:
        raw.execute("UPDATE meta SET value = ? WHERE name = 'enclosed_key'", (secret,))


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def files(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


async def test_a_backup_is_one_private_file(backup: Path) -> None:
    assert mode(backup) == 0o600
    assert {n for n in names(backup.parent) if "backup" in n} == {"backup"}
    assert verify_store(backup) == []


async def test_it_brings_back_the_index_and_its_key(backup: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "index.sqlite3"
    restore_store(backup, path, hmac_fingerprint=FINGERPRINT)
    assert read(key_file(path)) == SECRET
    assert names(path.parent) == {path.name, key_file(path).name}
    assert [mode(file) for file in files(path.parent)] == [0o600, 0o600]
    assert SECRET not in read(path)
    assert verify_store(path) == []
    store = open_store(path, FINGERPRINT)
    assert await store.record(key("1")) is not None
    store.close()


async def test_what_was_told_since_the_backup_never_names_anybody_else(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    known = await created(store, "1", 1)
    await store.commit(change(tasks=(review("1", known),)))
    backup_store(path, tmp_path / "backup", hmac_key=SECRET)
    told = await created(store, "2", 2)
    opened = await store.commit(change(tasks=(review("2", known),)))
    store.close()
    restore_store(tmp_path / "backup", path, force=True)
    restored = open_store(path, FINGERPRINT)
    assert await restored.person(told) is None
    assert await created(restored, "3", 3) > told
    asked = await restored.commit(change(tasks=(review("3", known),)))
    assert await restored.task(opened.task_ids[0]) is None
    assert asked.task_ids != opened.task_ids
    restored.close()
    assert verify_store(path) == []


async def test_tasks_pass_numbers_over_though_the_backup_had_none(
    backup: Path, store: SqliteStore, path: Path
) -> None:
    opened = await store.commit(change(tasks=(review("1", format_mpi_id(1)),)))
    store.close()
    restore_store(backup, path, force=True)
    restored = open_store(path, FINGERPRINT)
    asked = await restored.commit(change(tasks=(review("1", format_mpi_id(1)),)))
    assert asked.task_ids != opened.task_ids
    restored.close()


async def test_without_a_key_file_none_comes_back(tmp_path: Path) -> None:
    path, target = tmp_path / "index.sqlite3", tmp_path / "backup"
    open_store(path, FINGERPRINT).close()
    backup_store(path, target, hmac_key=SECRET)
    restore_store(target, tmp_path / "new.sqlite3", hmac_fingerprint=FINGERPRINT)
    assert names(tmp_path) == {"index.sqlite3", "backup", "new.sqlite3"}


@pytest.mark.parametrize("lying", [ANOTHER, b"", None])
async def test_a_backup_with_a_key_that_is_not_its_own_is_not_made(
    store: SqliteStore, path: Path, tmp_path: Path, lying: bytes | None
) -> None:
    remove(key_file(path)) if lying is None else write(key_file(path), lying)
    with pytest.raises(ConfigurationError, match="made with another HMAC key"):
        backup_store(path, tmp_path / "backup", hmac_key=lying or ANOTHER)
    assert "backup" not in names(tmp_path)
    # The setting provides the right one: then what lies there is nobody's.
    backup_store(path, tmp_path / "backup", hmac_key=SECRET)
    restore_store(tmp_path / "backup", tmp_path / "new", hmac_fingerprint=FINGERPRINT)
    assert key_file(tmp_path / "new").name not in names(tmp_path)


async def test_an_index_that_does_not_know_its_key_is_not_copied(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    store.close()
    forget_key(path)
    with pytest.raises(ConfigurationError, match="run `mpi stats`"):
        backup_store(path, tmp_path / "backup", hmac_key=SECRET)
    open_store(path, FINGERPRINT).close()
    backup_store(path, tmp_path / "backup", hmac_key=SECRET)


async def test_commits_during_a_backup_do_not_disturb_it(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    for number in range(20):
        await created(store, str(number), *range(number * 10_000, number * 10_000 + 4_000))
    steps: list[tuple[int, int]] = []
    going_on = threading.Event()

    def progress(done: int, total: int) -> None:
        steps.append((done, total))
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as raw:
            raw.execute("INSERT OR REPLACE INTO meta VALUES ('during', ?)", (bytes(9_000),))
        going_on.set()

    # In steps small enough for many commits to fall between them.
    backup_store(path, tmp_path / "backup", progress, pages=20, hmac_key=SECRET)
    assert going_on.is_set()
    assert len(steps) > 10
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == steps[-1][1]
    assert verify_store(tmp_path / "backup") == []


async def test_a_backup_never_replaces_a_file(backup: Path, path: Path) -> None:
    before = read(backup)
    for target in (backup, path):
        with pytest.raises(ConfigurationError, match="exists already"):
            backup_store(path, target, hmac_key=SECRET)
    assert read(backup) == before


async def test_what_cannot_be_copied_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no file"):
        backup_store(tmp_path / "none", tmp_path / "backup", hmac_key=SECRET)
    noise(tmp_path / "noise")
    with pytest.raises(ConfigurationError, match="not a database"):
        backup_store(tmp_path / "noise", tmp_path / "backup", hmac_key=SECRET)
    with pytest.raises(ConfigurationError, match="writable directory"):
        backup_store(tmp_path / "noise", tmp_path / "nowhere" / "backup", hmac_key=SECRET)
    assert names(tmp_path) == {"noise"}


async def test_a_full_disk_is_that_of_the_target(backup: Path, path: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with files_of_at_most(64 * 1024):
        with pytest.raises(ConfigurationError, match=r"copied to .*there/backup .*make room"):
            backup_store(path, tmp_path / "there" / "backup", hmac_key=SECRET)
        with pytest.raises(ConfigurationError, match=r"copied to .*there/new .*make room"):
            restore_store(backup, tmp_path / "there" / "new")
    assert names(tmp_path / "there") == set()


class TestRestoringOverAnIndex:
    async def test_needs_force(self, backup: Path, store: SqliteStore, path: Path) -> None:
        store.close()
        before = read(path)
        with pytest.raises(ConfigurationError, match="--force"):
            restore_store(backup, path)
        assert read(path) == before

    async def test_in_use_is_refused_even_then(
        self, backup: Path, store: SqliteStore, path: Path
    ) -> None:
        await created(store, "2")
        with pytest.raises(ConfigurationError, match="stop the service"):
            restore_store(backup, path, force=True)
        assert await store.record(key("2")) is not None
        await created(store, "3")

    async def test_brings_the_earlier_state(
        self, backup: Path, store: SqliteStore, path: Path
    ) -> None:
        await created(store, "2")
        store.close()
        restore_store(backup, path, force=True)
        store = open_store(path, FINGERPRINT)
        assert await store.record(key("1")) is not None
        assert await store.record(key("2")) is None
        store.close()
        assert verify_store(path) == []

    async def test_mends_a_damaged_one_with_a_left_over_log(
        self, backup: Path, store: SqliteStore, path: Path
    ) -> None:
        store.close()
        noise(path)
        noise(log_of(path))
        restore_store(backup, path, force=True)
        assert verify_store(path) == []

    async def test_ignores_a_log_without_a_database(
        self, backup: Path, store: SqliteStore, path: Path
    ) -> None:
        store.close()
        remove(path)
        noise(log_of(path))
        restore_store(backup, path)
        assert verify_store(path) == []


class TestUnusableBackups:
    async def test_of_another_key(self, backup: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="another HMAC key"):
            restore_store(backup, tmp_path / "new", hmac_fingerprint=b"another")
        assert "new" not in names(tmp_path)

    @pytest.mark.parametrize("enclosed", [ANOTHER, b""])
    async def test_enclosing_a_key_that_is_not_its_own(
        self, backup: Path, store: SqliteStore, path: Path, enclosed: bytes
    ) -> None:
        await created(store, "2")
        store.close()
        enclose(backup, enclosed)
        before = read(path)
        with pytest.raises(ConfigurationError, match="set MPI_HMAC_KEY"):
            restore_store(backup, path, force=True)
        assert (read(path), read(key_file(path))) == (before, SECRET)
        restore_store(backup, path, hmac_fingerprint=FINGERPRINT, force=True)
        assert read(key_file(path)) == SECRET
        assert enclosed == b"" or enclosed not in read(path)

    async def test_without_a_key_beside_that_of_another_index(
        self, store: SqliteStore, path: Path, tmp_path: Path
    ) -> None:
        remove(key_file(path))
        backup_store(path, tmp_path / "backup", hmac_key=SECRET)
        there = tmp_path / "there"
        open_store(there, fingerprint(ANOTHER)).close()
        write(key_file(there), ANOTHER)
        before = read(there)
        with pytest.raises(ConfigurationError, match="another HMAC key"):
            restore_store(tmp_path / "backup", there, force=True)
        assert (read(there), read(key_file(there))) == (before, ANOTHER)
        write(key_file(there), SECRET)
        restore_store(tmp_path / "backup", there, force=True)
        assert verify_store(there) == []

    async def test_newer_than_this_version(self, backup: Path, tmp_path: Path) -> None:
        with closing(sqlite3.connect(backup)) as raw:
            raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        with pytest.raises(ConfigurationError, match="install the newer version"):
            restore_store(backup, tmp_path / "new")

    async def test_damaged(self, backup: Path, tmp_path: Path) -> None:
        content = bytearray(read(backup))
        content[4096 * 5 : 4096 * 6] = b"\xff" * 4096
        write(backup, bytes(content))
        with pytest.raises(ConfigurationError, match="damaged"):
            restore_store(backup, tmp_path / "new")

    async def test_without_a_fingerprint(self, backup: Path, tmp_path: Path) -> None:
        forget_key(backup)
        with pytest.raises(ConfigurationError, match="fingerprint"):
            restore_store(backup, tmp_path / "new")

    async def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="there is no file"):
            restore_store(tmp_path / "none", tmp_path / "new")
