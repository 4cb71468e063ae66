"""Every invariant of the index, checked on one snapshot of a store that may be in use.

Findings name rows by our own numbers and ids, never by values of a source.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

from mpi.domain.mpi_id import format_mpi_id
from mpi.errors import ConfigurationError
from mpi.stores.codec import UnreadableBlob, decode_demographics, decode_keys, decode_standard
from mpi.stores.sqlite.reading import reading
from mpi.stores.sqlite.replay import replay
from mpi.stores.sqlite.schema import (
    SCHEMA_VERSION,
    Connection,
    check_known,
    get_meta,
    unusable,
)
from mpi.stores.verification import (
    DAMAGED,
    MOST_FINDINGS,
    UNASKED,
    UNASKED_TEXT,
    Progress,
    Violation,
)

Check = Callable[[Connection], Iterator[str]]

_QUERIES: tuple[tuple[str, str, str], ...] = (
    (
        "record_without_person",
        "record {} is active but belongs to no active person",
        """SELECT r.id FROM record r LEFT JOIN person p ON p.id = r.person
        WHERE r.status = 'active' AND coalesce(p.active, 0) = 0""",
    ),
    (
        "deleted_record_with_person",
        "record {} is deleted but belongs to a person",
        "SELECT id FROM record WHERE status = 'deleted' AND person IS NOT NULL",
    ),
    (
        "wrong_current_version",
        "record {} does not point to its one active or deleted version",
        """SELECT r.id FROM record r LEFT JOIN record_version v ON v.id = r.version_id
        WHERE v.status IS NULL OR v.status <> r.status
        UNION SELECT v.record FROM record_version v JOIN record r ON r.id = v.record
        WHERE v.status = 'active' AND v.id <> r.version_id""",
    ),
    (
        "empty_person",
        "person {} is active without a record",
        """SELECT mpi_id FROM person p WHERE active
        AND NOT EXISTS (SELECT 1 FROM record r WHERE r.person = p.id)""",
    ),
    (
        "alias_without_end",
        "the aliases from person {} lead nowhere",
        # A chain that never meets an end is a cycle: UNION drops what was visited, so it stops.
        """WITH RECURSIVE chain (start, here) AS (
            SELECT id, merged_into FROM person WHERE merged_into IS NOT NULL
            UNION SELECT start, p.merged_into FROM chain JOIN person p ON p.id = here
            WHERE p.merged_into IS NOT NULL)
        SELECT mpi_id FROM person WHERE merged_into IS NOT NULL AND id NOT IN (
            SELECT start FROM chain JOIN person p ON p.id = here WHERE p.merged_into IS NULL)""",
    ),
    (
        "not_same_in_one_person",
        "person {} holds two records asserted not to be the same",
        """SELECT p.mpi_id FROM assertion a JOIN record l ON l.id = a.left_record
        JOIN record r ON r.id = a.right_record JOIN person p ON p.id = l.person
        WHERE a.kind = 'not-same' AND a.lifted_seq IS NULL AND l.person = r.person""",
    ),
    (
        "wrong_link",
        "the open link of record {} disagrees with its person",
        """SELECT r.id FROM record r LEFT JOIN link l ON l.record = r.id AND l.until_seq IS NULL
        WHERE l.person IS NOT r.person
        UNION SELECT record FROM link WHERE until_seq IS NULL GROUP BY record HAVING count(*) > 1
        UNION SELECT record FROM link WHERE until_seq <= from_seq""",
    ),
    (
        UNASKED,
        UNASKED_TEXT,
        """SELECT v.record FROM record_version v WHERE v.status = 'pending' AND NOT EXISTS (
            SELECT 1 FROM record_version d
            WHERE d.record = v.record AND d.status = 'deleted' AND d.version > v.version)
        GROUP BY v.record HAVING count(*) > 1 OR NOT EXISTS (SELECT 1 FROM task t
            WHERE t.record = v.record AND t.kind = 'overlay' AND t.status <> 'decided')""",
    ),
    (
        "event_gap",
        "an event is missing before event {}",
        """SELECT e.seq FROM event e WHERE e.seq > 1
        AND NOT EXISTS (SELECT 1 FROM event b WHERE b.seq = e.seq - 1)
        UNION SELECT min(seq) FROM event HAVING min(seq) > 1""",
    ),
    (
        "event_undoes_later",
        "event {} undoes one that came later",
        "SELECT seq FROM event WHERE undoes >= seq",
    ),
    (
        "errand_about_nothing",
        "an errand of kind {} is about a record that is not there",
        """SELECT e.kind FROM errand e CROSS JOIN json_each(substr(e.name, instr(e.name, ' ') + 1)) j
        WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.source = json_extract(j.value, '$[0]')
            AND r.source_id = json_extract(j.value, '$[1]'))""",
    ),
    (
        "wrong_tally",
        "the count of {} is wrong",
        """SELECT 'records' FROM tally
            WHERE records <> (SELECT count(*) FROM record WHERE status = 'active')
        UNION SELECT 'persons' FROM tally
            WHERE persons <> (SELECT count(*) FROM person WHERE active)
        UNION SELECT 'retired persons' FROM tally
            WHERE retired <> (SELECT count(*) FROM person WHERE NOT active)
        UNION SELECT 'open tasks' FROM tally
            WHERE tasks_open <> (SELECT count(*) FROM task WHERE status <> 'decided')
        UNION SELECT 'assertions' FROM tally
            WHERE assertions <> (SELECT count(*) FROM assertion WHERE lifted_seq IS NULL)
        UNION SELECT 'recent keys' FROM tally
            WHERE recent_keys <> (SELECT count(*) FROM blocking_recent)
        UNION SELECT 'minted persons' FROM tally
            WHERE minted < (SELECT coalesce(max(id), 0) FROM person)""",
    ),
    (
        "missing_trigger",
        "the trigger {} that keeps history unchanged is missing",
        """SELECT value FROM json_each('["event_is_never_changed", "event_is_never_deleted",
            "link_is_never_deleted", "link_is_only_superseded", "model_is_never_changed",
            "activation_is_never_changed", "activation_is_never_deleted"]')
        WHERE value NOT IN (SELECT name FROM sqlite_schema WHERE type = 'trigger')""",
    ),
)


def _integrity(connection: sqlite3.Connection) -> Iterator[str]:
    """Pages and indexes only: the checks below say what a broken constraint means."""
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for (finding,) in connection.execute("PRAGMA integrity_check"):
        if finding != "ok":
            yield finding


def _foreign_keys(connection: sqlite3.Connection) -> Iterator[str]:
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} points to a missing {parent}"


def _person_ids(connection: sqlite3.Connection) -> Iterator[str]:
    for number, mpi_id in connection.execute("SELECT id, mpi_id FROM person"):
        if mpi_id != format_mpi_id(number):
            yield f"person number {number} bears an id that is not its own"


def _fingerprint(connection: sqlite3.Connection) -> Iterator[str]:
    if not get_meta(connection, "hmac_fingerprint"):
        yield "the fingerprint of the HMAC key is missing"


def _contents(connection: sqlite3.Connection) -> Iterator[str]:
    for row in connection.execute(
        "SELECT record, version, demographics, standard, blocking_keys FROM record_version"
    ):
        try:
            decode_demographics(row[2])
            decode_standard(row[3])
            decode_keys(row[4])
        except DAMAGED:
            yield f"version {row[1]} of record {row[0]} cannot be read"
    for seq, added, removed in connection.execute("SELECT seq, added, removed FROM blocking_log"):
        try:
            decode_keys(added)
            decode_keys(removed)
        except DAMAGED:
            yield f"the blocking keys that event {seq} has changed cannot be read"


def _blocking(connection: Connection) -> Iterator[str]:
    """The rows of a record are the keys of its current version while it is active, else none.

    Number and sum of the keys are compared, not the keys: the table lies in the order of keys, and
    looking up thirty of them for each record takes ten times as long as one pass.
    """
    balance: dict[int, int] = {}
    for record, blob in connection.execute(
        """SELECT r.id, v.blocking_keys FROM record r JOIN record_version v ON v.id = r.version_id
        WHERE r.status = 'active'"""
    ):
        balance[record] = sum(key + _ONE_ROW for key in _keys(blob))
    for key, record in chain(connection.execute(_ALL_KEYS), _new_keys(connection)):
        balance[record] = balance.get(record, 0) - key - _ONE_ROW
    for record, rest in balance.items():
        if rest:
            yield f"record {record} is not under the blocking keys of its current version"


def _new_keys(connection: Connection) -> Iterable[tuple[int, int]]:
    """Key and record of what is in no table of keys yet."""
    try:
        connection.new_keys.catch_up(connection)
    except DAMAGED:
        return ()  # `unreadable_version` tells it.
    return connection.new_keys.rows()


_ALL_KEYS = """SELECT key, record FROM blocking_key
    UNION ALL SELECT key, record FROM blocking_recent"""
_ONE_ROW = 1 << 96
"""Counts rows in the digits above any sum of keys."""


def _keys(blob: bytes) -> set[int]:
    try:
        return set(decode_keys(blob))
    except UnreadableBlob:
        return set()  # `unreadable_version` tells it.


def _query(template: str, statement: str) -> Check:
    def run(connection: sqlite3.Connection) -> Iterator[str]:
        for (what,) in connection.execute(statement):
            yield template.format(what)

    return run


CHECKS: tuple[tuple[str, Check], ...] = (
    ("foreign_key", _foreign_keys),
    *((code, _query(template, statement)) for code, template, statement in _QUERIES),
    ("person_id", _person_ids),
    ("fingerprint", _fingerprint),
    ("unreadable_version", _contents),
    ("wrong_blocking_key", _blocking),
    ("replay", replay),
)


def verify_store(
    path: Path,
    progress: Progress = lambda _name, _done, _all: None,
    *,
    most: int = MOST_FINDINGS,
) -> list[Violation]:
    """Check every invariant of the index at ``path``; at most ``most`` findings of each check.

    Raises:
        ConfigurationError: it is no index of ours, or one that an older version has left; or it cannot be read now,
            which says nothing about it.
    """
    if not path.is_file():
        raise ConfigurationError(f"there is no database at {path}; name an existing one")
    try:
        with reading(path) as connection:
            check_known(connection, path)
            _check_taken_over(connection, path)
            connection.execute("BEGIN")
            found = _run("integrity", _integrity, connection, most)
            if found:
                # What cannot be read page by page makes every further finding a guess.
                return found
            for number, (code, check) in enumerate(CHECKS, 1):
                progress(code, number, len(CHECKS))
                found += _run(code, check, connection, most)
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise unusable(path, error) from error
        return [Violation("integrity", f"the database cannot be read ({error.sqlite_errorname})")]
    return found


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the contents are to blame, and not a lock, the disk or the rights of this user."""
    return error.sqlite_errorcode & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_ERROR,  # a table that is missing, or a text that is not the JSON it has to be
    )


def _check_taken_over(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version < SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path} has schema {version} of an older version; start the service, or run `mpi stats`, "
            f"which takes it over to schema {SCHEMA_VERSION}, then verify"
        )


def _run(code: str, check: Check, connection: Connection, most: int) -> list[Violation]:
    return [Violation(code, detail) for detail in islice(check(connection), most)]
