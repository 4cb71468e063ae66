"""What forbids a commit: something that changed after the decision was based on it."""

from __future__ import annotations

import sqlite3

from mpi.domain.identity import IdentityChange
from mpi.errors import ConcurrentChange, Conflict, PreconditionFailed
from mpi.stores.history_codec import touched_records
from mpi.stores.numbering import event_seq, task_number
from mpi.stores.plan import named_persons
from mpi.stores.rows import Head
from mpi.stores.sqlite.history import undone_by
from mpi.stores.sqlite.reads import keys_of_versions, record_number


def read_head(connection: sqlite3.Connection) -> Head:
    """The counters from which a change numbers what it makes."""
    row = connection.execute("""SELECT
        (SELECT coalesce(max(seq), 0) FROM event), (SELECT coalesce(max(id), 0) FROM record),
        minted, assertions FROM tally""").fetchone()
    return Head(*row)


def check_guard(connection: sqlite3.Connection, change: IdentityChange, head: Head) -> None:
    """Raise ``PreconditionFailed`` or ``ConcurrentChange`` when the change came too late."""
    for name, version in change.expected_versions:
        _check_version(connection, name, version)
    if change.position is None or change.position >= head.position:
        return
    for mpi_id in named_persons(change):
        if connection.execute(
            """SELECT 1 FROM person p CROSS JOIN event_person x ON x.person = p.id AND x.seq > ?
            WHERE p.mpi_id = ? LIMIT 1""",
            (change.position, mpi_id),
        ).fetchone():
            raise ConcurrentChange(f"{mpi_id} has changed since it was read")
    touched = _touched_since(connection, change.position)
    if change.record and record_number(connection, change.record.key) in touched:
        raise ConcurrentChange("the record has changed since it was read")
    if change.guard_keys and _shares_key(connection, touched, set(change.guard_keys)):
        raise ConcurrentChange("a record to compare with has changed since it was read")


def _check_version(connection: sqlite3.Connection, name: str, expected: int) -> None:
    number = task_number(name)
    if number is not None:
        row = connection.execute("SELECT version FROM task WHERE id = ?", (number,)).fetchone()
    else:
        row = connection.execute("SELECT version FROM person WHERE mpi_id = ?", (name,)).fetchone()
    if row is None or row[0] != expected:
        raise PreconditionFailed(f"{name} is no longer at the expected version")


def _touched_since(connection: sqlite3.Connection, position: int) -> set[int]:
    touched: set[int] = set()
    for (blob,) in connection.execute("SELECT payload FROM event WHERE seq > ?", (position,)):
        touched.update(touched_records(blob))
    return touched


def _shares_key(connection: sqlite3.Connection, records: set[int], keys: set[int]) -> bool:
    """Whether any version of the records lies under one of the keys.

    Every version, because a record that has just left the block was evidence when the decision was made.
    """
    return any(not keys.isdisjoint(own) for own in keys_of_versions(connection, records))


def undone_seq(connection: sqlite3.Connection, identifier: str | None) -> int | None:
    """The number of the event to undo. Raises ``ConcurrentChange`` when it is undone already."""
    if identifier is None:
        return None
    seq = event_seq(identifier)
    if (
        seq is None
        or not connection.execute("SELECT 1 FROM event WHERE seq = ?", (seq,)).fetchone()
    ):
        raise Conflict("the change undoes an event that never happened")
    if undone_by(connection, seq) is not None:
        raise ConcurrentChange(f"{identifier} was undone meanwhile")
    return seq
