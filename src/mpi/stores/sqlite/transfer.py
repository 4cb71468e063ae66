"""A SQLite file as the source or target of a transfer. A target gets its name when it is whole."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from mpi.domain.identity import Event
from mpi.domain.mpi_id import format_mpi_id
from mpi.errors import ConfigurationError
from mpi.stores.codec import decode_keys
from mpi.stores.history_codec import decode_event, touched_records
from mpi.stores.numbering import person_number
from mpi.stores.rows import VERSION_BITS
from mpi.stores.sqlite.files import drop_log, is_held_elsewhere, sync_directory
from mpi.stores.sqlite.rows import SqliteRows
from mpi.stores.sqlite.schema import check_known, connect, get_meta, prepare, set_meta, unusable
from mpi.stores.sqlite.stewardship import number_tasks_after
from mpi.stores.transfer import OF_CALLS, Check, Facts, Row, as_calls

_STATE = "transfer_facts"
"""What the index will say of itself, in a draft that lacks rows. An earlier version noted less, as ``transfer``."""
_ROWS = {
    "event": "SELECT * FROM event WHERE seq > ? ORDER BY seq",
    "person": "SELECT id, version, active, merged_into, created_seq FROM person WHERE id > ? ORDER BY id",
    "record": """SELECT r.id, r.source, r.source_id, r.person, v.version, v.status, v.received_at,
        v.recorded_at, v.digest, v.demographics, v.standard, v.blocking_keys, v.warnings, v.seq
        FROM record r CROSS JOIN record_version v ON v.id = r.version_id WHERE r.id > ? ORDER BY r.id""",
    "version": """SELECT v.id, v.version, v.status, v.received_at, v.recorded_at, v.digest, v.demographics,
        v.standard, v.blocking_keys, v.warnings, v.seq
        FROM record_version v CROSS JOIN record r ON r.id = v.record WHERE v.id > ?
        AND v.id <> r.version_id ORDER BY v.id""",
    "task": """SELECT id, version, kind, status, record, candidates, weight, reason, opened_at, assignee,
        outcome, decided_at, deferred_until, seq FROM task WHERE id > ? ORDER BY id""",
    "assertion": """SELECT id, kind, left_record, right_record, actor, reason, at, seq, lifted_seq
        FROM assertion WHERE id > ? ORDER BY id""",
    "errand": "SELECT * FROM errand WHERE name > ? ORDER BY name",
    "api_key": """SELECT key_id, name, digest, scopes, created_at, revoked_at FROM api_key
        WHERE key_id > ? ORDER BY key_id""",
    "model": "SELECT * FROM model WHERE version > ? ORDER BY version",
    "activation": "SELECT * FROM activation WHERE number > ? ORDER BY number",
}
_NAMED = {"errand", "api_key", "model"}
"""Tables whose rows are ordered by a text."""
_COUNT = dict.fromkeys(_ROWS, "SELECT count(*) FROM {}") | {
    "version": "SELECT (SELECT count(*) FROM record_version) - (SELECT count(*) FROM record)"
}
_LAST = dict.fromkeys(_ROWS, "SELECT max(id) FROM {}") | {
    "event": "SELECT max(seq) FROM event",
    "errand": "SELECT max(name) FROM errand",
    "api_key": "SELECT max(key_id) FROM api_key",
    "model": "SELECT max(version) FROM model",
    "activation": "SELECT max(number) FROM activation",
    "version": """SELECT max(v.id) FROM record_version v CROSS JOIN record r ON r.id = v.record
        WHERE v.id <> r.version_id""",
}
_VERSION = "INSERT INTO record_version VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT = {
    "event": "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
    "person": """INSERT INTO person (id, version, active, merged_into, created_seq, mpi_id)
        VALUES (?, ?, ?, ?, ?, ?)""",
    "task": """INSERT INTO task (id, version, kind, status, record, candidates, weight, reason, opened_at,
        assignee, outcome, decided_at, deferred_until, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    "assertion": "INSERT INTO assertion VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "errand": "INSERT INTO errand VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "api_key": "INSERT INTO api_key VALUES (?, ?, ?, ?, ?, ?)",
    "model": "INSERT INTO model VALUES (?, ?, ?, ?)",
    "activation": "INSERT INTO activation VALUES (?, ?, ?, ?, ?, ?)",
}
_TALLY = """UPDATE tally SET minted = ?, recent_keys = 0, next_key = 0,
    records = (SELECT count(*) FROM record WHERE status = 'active'),
    persons = (SELECT count(*) FROM person WHERE active),
    retired = (SELECT count(*) FROM person WHERE NOT active),
    tasks_open = (SELECT count(*) FROM task WHERE status <> 'decided'),
    assertions = (SELECT count(*) FROM assertion WHERE lifted_seq IS NULL)"""


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What SQLite refuses inside about the file at ``path`` or its draft becomes ``ConfigurationError``."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # of the rows or the statements: a defect
    except sqlite3.Error as error:
        raise unusable(path, error) from error


class SqliteSource:
    """Implements :class:`mpi.stores.transfer.Source`. To be used within :func:`told`."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ConfigurationError(
                f"there is no database at {path}; set MPI_SQLITE_PATH to an existing one"
            )
        self._connection = connect(path, read_only=True)
        check_known(self._connection, path)

    async def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    async def facts(self) -> Facts:
        """See :class:`mpi.stores.transfer.Source`."""
        fingerprint = get_meta(self._connection, "hmac_fingerprint") or b""
        minted, position = self._connection.execute(
            "SELECT minted, (SELECT coalesce(max(seq), 0) FROM event) FROM tally"
        ).fetchone()
        demo = get_meta(self._connection, "demo") is not None
        calls = self._connection.execute(
            "SELECT name, value FROM meta WHERE substr(name, 1, ?) = ?", (len(OF_CALLS), OF_CALLS)
        )
        last_task = SqliteRows(self._connection).last_task()
        return Facts(fingerprint, minted, demo, position, last_task, as_calls(calls))

    async def count(self, table: str) -> int:
        """See :class:`mpi.stores.transfer.Source`."""
        return int(self._connection.execute(_COUNT[table].format(table)).fetchone()[0])

    async def rows(self, table: str, after: Any = None) -> AsyncIterator[Row]:
        """See :class:`mpi.stores.transfer.Source`."""
        start = after or ("" if table in _NAMED else 0)
        for row in self._connection.execute(_ROWS[table], (start,)):
            yield _neutral(table, row)


def _neutral(table: str, row: Row) -> Row:
    if table == "task":
        return (*row[:5], tuple(orjson.loads(row[5])), *row[6:])
    if table == "api_key":
        return (*row[:3], tuple(row[3].split()), *row[4:])
    return row


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}); make room there, or name another file in MPI_SQLITE_PATH"
        ) from error


class SqliteTarget(SqliteSource):
    """Implements :class:`mpi.stores.transfer.Target`: a draft beside the path, until it is finished."""

    def __init__(self, path: Path, hmac_fingerprint: bytes) -> None:
        self._path = path
        self._check_vacant()
        self._draft = path.with_name(f"{path.name}.part")
        prepare(self._draft, hmac_fingerprint, create=True)
        self._handle = self._held()
        self._connection = connect(self._draft)
        # An alias may lead to a person of a later batch; `verify` checks every reference at the end.
        self._connection.execute("PRAGMA foreign_keys = OFF")

    def _held(self) -> int:
        """The draft, held until the end: two who fill it would be in each other's way.

        To be closed after every connection to it: closing any handle of a file gives up SQLite's locks on it.
        """
        with _writing(self._draft):
            handle = os.open(self._draft, os.O_RDWR)
        if not is_held_elsewhere(handle):
            return handle
        os.close(handle)
        raise ConfigurationError(
            f"another `mpi migrate` fills {self._draft}; let it finish, or stop it and repeat the command"
        )

    async def close(self) -> None:
        """Let go of the file."""
        await super().close()
        os.close(self._handle)

    def _check_vacant(self) -> None:
        if self._path.exists():
            raise ConfigurationError(
                f"{self._path} exists already; remove it, or name another file in MPI_SQLITE_PATH"
            )

    async def begin(self, facts: Facts) -> bool:
        """See :class:`mpi.stores.transfer.Target`."""
        if get_meta(self._connection, _STATE) is None and not await self.count("event"):
            told = [facts.minted, facts.demo, facts.position, facts.last_task, facts.calls]
            set_meta(self._connection, _STATE, orjson.dumps(told))
        elif await self.facts() != facts:
            raise ConfigurationError(
                f"{self._draft} was begun from another state of the index; remove it and migrate again"
            )
        return get_meta(self._connection, _STATE) is not None

    async def facts(self) -> Facts:
        """What :meth:`begin` was told; of a draft that lacks only its name, what it says."""
        state = get_meta(self._connection, _STATE)
        if state is None:
            return await super().facts()
        minted, demo, position, last_task, calls = orjson.loads(state)
        fingerprint = get_meta(self._connection, "hmac_fingerprint") or b""
        return Facts(fingerprint, minted, demo, position, last_task, as_calls(calls))

    async def last(self, table: str) -> Any:
        """See :class:`mpi.stores.transfer.Target`."""
        return self._connection.execute(_LAST[table].format(table)).fetchone()[0]

    async def add(self, table: str, rows: Sequence[Row]) -> None:
        """See :class:`mpi.stores.transfer.Target`."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._add(table, rows)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _add(self, table: str, rows: Sequence[Row]) -> None:
        write = self._connection.executemany
        if table == "record":
            write(
                "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
                [(r[0], r[1], r[2], r[4], r[5], r[3]) for r in rows],
            )
            write(_VERSION, [((r[0] << VERSION_BITS) + r[4], r[0], *r[4:]) for r in rows])
        elif table == "version":
            write(_VERSION, [(r[0], r[0] >> VERSION_BITS, *r[1:]) for r in rows])
        else:
            write(_INSERT[table], [_own(table, row) for row in rows])

    async def finish(self, facts: Facts, check: Check) -> None:
        """See :class:`mpi.stores.transfer.Target`."""
        if get_meta(self._connection, _STATE) is not None:
            self._complete(facts)
        self._connection.execute("PRAGMA journal_mode = DELETE")
        self._connection.close()
        await check()
        self._check_vacant()  # a service that was started meanwhile has made an index of its own
        with _writing(self._path):
            drop_log(self._path)
            self._draft.replace(self._path)
            sync_directory(self._path.parent)
        self._connection = connect(self._path, read_only=True)

    def _complete(self, facts: Facts) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._derive()
        self._connection.execute(_TALLY, (facts.minted,))
        number_tasks_after(self._connection, facts.last_task)
        if facts.demo:
            set_meta(self._connection, "demo", b"1")
        for name, spent in facts.calls:
            set_meta(self._connection, name, b"%d" % spent)
        self._connection.execute("DELETE FROM meta WHERE name = ?", (_STATE,))
        self._connection.execute("COMMIT")

    def _derive(self) -> None:
        for row in self._connection.execute("SELECT * FROM event ORDER BY seq"):
            self._touch(decode_event(row), touched_records(row[6]))
        write = self._connection.execute
        write("CREATE TEMP TABLE found (key INTEGER NOT NULL, record INTEGER NOT NULL)")
        for record, blob in write("""SELECT r.id, v.blocking_keys FROM record r
            CROSS JOIN record_version v ON v.id = r.version_id WHERE r.status = 'active'"""):
            keys = [(key, record) for key in set(decode_keys(blob))]
            self._connection.executemany("INSERT INTO found VALUES (?, ?)", keys)
        write("INSERT INTO blocking_key SELECT key, record FROM found ORDER BY key, record")
        write("""INSERT INTO task_person SELECT DISTINCT p.id, t.id FROM task t
            CROSS JOIN json_each(t.candidates) j CROSS JOIN person p ON p.mpi_id = j.value""")

    def _touch(self, event: Event, records: Iterable[int]) -> None:
        write = self._connection.executemany
        persons = [(person_number(mpi_id), event.seq) for mpi_id in event.persons]
        write("INSERT INTO event_person VALUES (?, ?)", persons)
        write("INSERT INTO event_record VALUES (?, ?)", [(number, event.seq) for number in records])
        for move in event.moves:
            place = {
                "seq": event.seq,
                "source": move.key.source,
                "source_id": move.key.source_id,
                "person": None if move.target is None else person_number(move.target),
            }
            if move.origin is not None:
                self._connection.execute(
                    """UPDATE link SET until_seq = :seq WHERE until_seq IS NULL AND record =
                    (SELECT id FROM record WHERE source = :source AND source_id = :source_id)""",
                    place,
                )
            if move.target is not None:
                self._connection.execute(
                    """INSERT INTO link SELECT id, :seq, :person, NULL FROM record
                    WHERE source = :source AND source_id = :source_id""",
                    place,
                )


def _own(table: str, row: Row) -> Row:
    if table == "person":
        return (*row, format_mpi_id(row[0]))
    if table == "task":
        return (*row[:5], orjson.dumps(row[5]), *row[6:])
    if table == "api_key":
        return (*row[:3], " ".join(row[3]), *row[4:])
    return row
