"""Tables of the SQLite store, their migrations, and how a file becomes a connection."""

from __future__ import annotations

import hmac
import os
import sqlite3
import stat
import time
from contextlib import suppress
from pathlib import Path

from mpi.errors import ConfigurationError

APPLICATION_ID = 0x4D504931
"""``MPI1``: tells our files from other SQLite databases."""

_CACHE_KIB = 65_536
_MAPPED = 1 << 31
"""Bytes read through the page cache of the system, the most SQLite allows: a third faster than copying each page."""
_CHECKPOINT_PAGES = 4_000
OPEN_DEADLINE = 10.0

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- One row: counters that every commit keeps, so that counting never scans.
CREATE TABLE tally (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    minted INTEGER NOT NULL,      -- person numbers given out; never goes back
    records INTEGER NOT NULL,     -- active ones
    persons INTEGER NOT NULL,     -- active ones
    retired INTEGER NOT NULL,
    tasks_open INTEGER NOT NULL,  -- claimed ones too
    assertions INTEGER NOT NULL   -- in force
);
INSERT INTO tally VALUES (1, 0, 0, 0, 0, 0, 0);

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,          -- times are microseconds since 1970, UTC
    actor TEXT NOT NULL,
    reason TEXT,
    undoes INTEGER REFERENCES event (seq),
    payload BLOB NOT NULL
);
CREATE INDEX event_undoes ON event (undoes) WHERE undoes IS NOT NULL;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE person (
    id INTEGER PRIMARY KEY,       -- the number behind mpi_id
    mpi_id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    active INTEGER NOT NULL,
    merged_into INTEGER REFERENCES person (id),
    created_seq INTEGER NOT NULL REFERENCES event (seq),
    CHECK (NOT (active AND merged_into IS NOT NULL))
);

CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    source_id TEXT NOT NULL,
    version INTEGER NOT NULL,     -- the current one
    status TEXT NOT NULL CHECK (status IN ('active', 'deleted')),
    person INTEGER REFERENCES person (id),
    version_id INTEGER AS ((id << 20) + version) VIRTUAL,  -- record_version.id
    UNIQUE (source, source_id),
    CHECK ((status = 'active') = (person IS NOT NULL))
);
CREATE INDEX record_person ON record (person) WHERE person IS NOT NULL;

CREATE TABLE record_version (
    id INTEGER PRIMARY KEY,       -- record << 20 | version: the versions of a record lie together
    record INTEGER NOT NULL REFERENCES record (id),
    version INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'pending', 'history', 'deleted')),
    received_at INTEGER NOT NULL,
    recorded_at INTEGER,
    digest BLOB NOT NULL,
    demographics BLOB NOT NULL,
    standard BLOB NOT NULL,
    blocking_keys BLOB NOT NULL,
    warnings BLOB,
    seq INTEGER NOT NULL REFERENCES event (seq),
    CHECK (id = (record << 20) + version AND version BETWEEN 1 AND 1048575)
);

CREATE VIEW stored_version AS
    SELECT v.id, r.source, r.source_id, v.version, v.status, v.demographics, v.standard,
        v.blocking_keys, v.digest, v.received_at, v.recorded_at, p.mpi_id, v.warnings
    FROM record_version v JOIN record r ON r.id = v.record LEFT JOIN person p ON p.id = r.person;

-- Rows of active current versions only. No foreign key: checking some thirty rows of each commit costs
-- more than writing them, and `verify` compares the whole table with the versions.
CREATE TABLE blocking_key (
    key INTEGER NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (key, record)
) WITHOUT ROWID;

-- Who held a record when. The event of from_seq tells the decision, its actor and time.
CREATE TABLE link (
    record INTEGER NOT NULL REFERENCES record (id),
    from_seq INTEGER NOT NULL REFERENCES event (seq),
    person INTEGER NOT NULL REFERENCES person (id),
    until_seq INTEGER REFERENCES event (seq),
    PRIMARY KEY (record, from_seq)
) WITHOUT ROWID;
CREATE TRIGGER link_is_never_deleted BEFORE DELETE ON link
    BEGIN SELECT RAISE(ABORT, 'links are superseded, never deleted'); END;
CREATE TRIGGER link_is_only_superseded BEFORE UPDATE ON link
    WHEN OLD.until_seq IS NOT NULL OR NEW.until_seq IS NULL OR NEW.record <> OLD.record
        OR NEW.from_seq <> OLD.from_seq OR NEW.person <> OLD.person
    BEGIN SELECT RAISE(ABORT, 'links are superseded, never changed'); END;

CREATE TABLE event_person (
    person INTEGER NOT NULL REFERENCES person (id),
    seq INTEGER NOT NULL REFERENCES event (seq),
    PRIMARY KEY (person, seq)
) WITHOUT ROWID;
CREATE TABLE event_record (
    record INTEGER NOT NULL REFERENCES record (id),
    seq INTEGER NOT NULL REFERENCES event (seq),
    PRIMARY KEY (record, seq)
) WITHOUT ROWID;

CREATE TABLE assertion (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('same', 'not-same')),
    left_record INTEGER NOT NULL REFERENCES record (id),
    right_record INTEGER NOT NULL REFERENCES record (id),
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL REFERENCES event (seq),
    lifted_seq INTEGER REFERENCES event (seq),
    CHECK (left_record <> right_record)
);
CREATE INDEX assertion_left ON assertion (left_record) WHERE lifted_seq IS NULL;
CREATE INDEX assertion_right ON assertion (right_record) WHERE lifted_seq IS NULL;

CREATE TABLE task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    record INTEGER NOT NULL REFERENCES record (id),
    candidates BLOB NOT NULL,
    weight REAL,
    reason TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    assignee TEXT,
    outcome TEXT,
    decided_at INTEGER,
    seq INTEGER NOT NULL REFERENCES event (seq)
);
CREATE INDEX task_status ON task (status, id);
CREATE INDEX task_record ON task (record);
CREATE TABLE task_person (
    person INTEGER NOT NULL REFERENCES person (id),
    task INTEGER NOT NULL REFERENCES task (id),
    PRIMARY KEY (person, task)
) WITHOUT ROWID;

CREATE VIEW task_row AS
    SELECT t.id, t.version, t.kind, t.status, r.source, r.source_id, t.candidates, t.weight,
        t.reason, t.opened_at, t.assignee, t.outcome, t.decided_at
    FROM task t JOIN record r ON r.id = t.record;

CREATE TABLE api_key (
    key_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) WITHOUT ROWID;
"""

_DEFERRED_TASKS = """
ALTER TABLE task ADD COLUMN deferred_until INTEGER;
DROP VIEW task_row;
CREATE VIEW task_row AS
    SELECT t.id, t.version, t.kind, t.status, r.source, r.source_id, t.candidates, t.weight,
        t.reason, t.opened_at, t.assignee, t.outcome, t.decided_at, t.deferred_until
    FROM task t JOIN record r ON r.id = t.record;
"""

_RECENT_KEYS = """
-- Keys that were registered last; see sqlite_blocking. They move over to `blocking_key` in the order of keys.
CREATE TABLE blocking_recent (
    key INTEGER NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (key, record)
) WITHOUT ROWID;
ALTER TABLE tally ADD COLUMN recent_keys INTEGER NOT NULL DEFAULT 0;  -- rows of blocking_recent
ALTER TABLE tally ADD COLUMN next_key INTEGER NOT NULL DEFAULT 0;     -- the first to move over next
"""

_ERRANDS = """
-- What is still to be said elsewhere. No history: what was said is told by events.
CREATE TABLE errand (
    name TEXT PRIMARY KEY,          -- kind and records: equal errands are queued once
    kind TEXT NOT NULL,
    lane INTEGER NOT NULL,          -- the smaller goes first
    created_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,      -- that failed since it was queued
    reason TEXT,                    -- why the last one did
    mark TEXT,                      -- how far one has come that goes on
    lease INTEGER NOT NULL,         -- how often it was leased: names the lease that is in force
    wanted INTEGER NOT NULL,        -- how often it was queued: tells whether once more while it was run
    leased_until INTEGER NOT NULL   -- 0: nobody runs it
) WITHOUT ROWID;
CREATE INDEX errand_due ON errand (lane, due_at);
CREATE INDEX errand_kind ON errand (kind, created_at);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _DEFERRED_TASKS, _RECENT_KEYS, _ERRANDS)
"""Migration n leads from schema n to n + 1. Released ones are never edited."""

SCHEMA_VERSION = len(MIGRATIONS)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in explicit transaction mode that fails at once on another process's lock.

    A reader may write the log's index, as every reader of a write-ahead log must, but no data.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=0,
        cached_statements=512,
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


def _prepare_file(path: Path, *, create: bool) -> None:
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigurationError(f"{path} is not a file; name a file in MPI_SQLITE_PATH")
        if mode & 0o077:
            path.chmod(0o600)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"there is no database at {path}; set MPI_SQLITE_PATH to an existing one"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}); name a writable file in MPI_SQLITE_PATH"
        ) from error


def _prepare_database(path: Path, hmac_fingerprint: bytes) -> None:
    connection = connect(path)
    try:
        check_known(connection, path, allow_empty=True)
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
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
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
    return ConfigurationError(
        f"{path} cannot be opened for writing ({name}); name a writable file in MPI_SQLITE_PATH"
    )
