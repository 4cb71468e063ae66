"""How a file becomes a database of ours that can be used, and a connection to it."""

from __future__ import annotations

import hmac
import os
import sqlite3
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mpi.errors import ConfigurationError
from mpi.stores.sqlite.memtable import Memtable
from mpi.stores.sqlite.migrations import MIGRATIONS

APPLICATION_ID = 0x4D504931
"""``MPI1``: tells our files from other SQLite databases."""

_CACHE_KIB = 65_536
_MAPPED = 1 << 31
"""Bytes read through the page cache of the system, the most SQLite allows: a third faster than copying each page."""
_CHECKPOINT_PAGES = 16_000
"""The log's length, 64 MB, at which a commit folds it; in a service :mod:`mpi.stores.sqlite.folding` comes before."""
OPEN_DEADLINE = 10.0

SCHEMA_VERSION = len(MIGRATIONS)


class Connection(sqlite3.Connection):
    """A connection that knows of the blocking keys which are in no table of them yet."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.new_keys = Memtable()


def connect(path: Path, *, read_only: bool = False, immutable: bool = False) -> Connection:
    """A connection in explicit transaction mode that fails at once on another process's lock, once it is open.

    Opening waits: a process that closes the database keeps it locked for a moment.

    A reader may write the log's index, as every reader of a write-ahead log must, but no data; one of what is
    ``immutable`` looks at no lock and no log. Threads may use it one after the other.
    """
    mode = "mode=ro&immutable=1" if immutable else "mode=rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        isolation_level=None,
        timeout=OPEN_DEADLINE,
        check_same_thread=False,
        cached_statements=512,
        factory=Connection,
    )
    try:
        for pragma in (
            "foreign_keys = ON",
            "synchronous = FULL",
            f"cache_size = -{_CACHE_KIB}",
            f"mmap_size = {_MAPPED}",
            f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
            f"query_only = {'ON' if read_only else 'OFF'}",
            "busy_timeout = 0",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def prepare(path: Path, hmac_fingerprint: bytes, *, create: bool) -> None:
    """Create or migrate the database and check that it is ours. Raises ``ConfigurationError``."""
    _prepare_file(path, create=create)
    deadline = time.monotonic() + OPEN_DEADLINE
    while True:
        try:
            _prepare_database(path, hmac_fingerprint)
        except sqlite3.Error as error:
            if is_busy(error) and time.monotonic() < deadline:
                time.sleep(0.01)
                continue
            raise unusable(path, error) from error
        return


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection holds a lock for the moment."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk has no room: for the data, or for the index of the log, which readers need as well."""
    return getattr(error, "sqlite_errorcode", 0) in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_SHMSIZE,
    )


def _prepare_file(path: Path, *, create: bool) -> None:
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigurationError(f"{path} is not a file; name a file in MPI_SQLITE_PATH")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no database at {path}; set MPI_SQLITE_PATH to an existing one"
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error


def _make_private(path: Path) -> None:
    """Close the file to others, once it is known as ours; the log beside it gets the same mode."""
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be written ({error.strerror}); name a writable file in MPI_SQLITE_PATH"
    )


def _prepare_database(path: Path, hmac_fingerprint: bytes) -> None:
    connection = connect(path)
    try:
        check_known(connection, path, allow_empty=True)
        _make_private(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            _migrate(connection)
            _check_fingerprint(connection, hmac_fingerprint)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    finally:
        connection.close()


def check_known(connection: sqlite3.Connection, path: Path, *, allow_empty: bool = False) -> None:
    """Raise ``ConfigurationError`` unless this is a database of ours that this version reads."""
    # The tables first: another process may be making them, and whoever sees them sees the rest as well.
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not tables:
        if allow_empty:
            return
        raise ConfigurationError(
            f"{path} is an empty database, as one is whose making was interrupted; start the service or load a file, "
            "and it is made"
        )
    if application != APPLICATION_ID:
        raise ConfigurationError(
            f"{path} is not an index of ours; name another file in MPI_SQLITE_PATH"
        )
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} has schema {version}, this version knows up to {SCHEMA_VERSION}; "
            "install the newer version or restore an older backup"
        )


def _migrate(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for number in range(version, SCHEMA_VERSION):
        for statement in _statements(MIGRATIONS[number]):
            connection.execute(statement)
    # Every write touches a page, so skip them when nothing changed: opening stays a read.
    if version < SCHEMA_VERSION:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _statements(script: str) -> list[str]:
    """Split a script; ``executescript`` would commit the transaction that holds the migration."""
    statements, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements


def _check_fingerprint(connection: sqlite3.Connection, fingerprint: bytes) -> None:
    known = get_meta(connection, "hmac_fingerprint")
    if known is None:
        set_meta(connection, "hmac_fingerprint", fingerprint)
    elif not hmac.compare_digest(known, fingerprint):
        raise ConfigurationError(
            "the database was made with another HMAC key; set MPI_HMAC_KEY to that key, or put its "
            "key file back beside the database"
        )


def get_meta(connection: sqlite3.Connection, name: str) -> bytes | None:
    """A value of the ``meta`` table."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return bytes(row[0]) if row else None


def set_meta(connection: sqlite3.Connection, name: str, value: bytes) -> None:
    """Set a value of the ``meta`` table, inside the caller's transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


def unusable(path: Path, error: sqlite3.Error) -> ConfigurationError:
    """What to tell about a file that SQLite refuses."""
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if is_busy(error):
        return ConfigurationError(
            f"{path} stays locked by another program; stop what holds it and start again"
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return ConfigurationError(
            f"{path} is not a database or is damaged; restore a backup with `mpi restore`, or name "
            "another file in MPI_SQLITE_PATH"
        )
    if is_full(error):
        return ConfigurationError(
            f"the disk of {path} is full; make room there and repeat, or name a file elsewhere in MPI_SQLITE_PATH"
        )
    return ConfigurationError(
        f"{path} cannot be opened for writing ({name}); name a writable file in MPI_SQLITE_PATH"
    )
