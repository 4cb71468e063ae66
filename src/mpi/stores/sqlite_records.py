"""Records and their versions, blocking keys and links, as a commit writes them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordKey, RecordStatus
from mpi.stores.codec import (
    decode_keys,
    encode_demographics,
    encode_keys,
    encode_standard,
    encode_time,
    encode_warnings,
)
from mpi.stores.sqlite_blocking import Recent, exchange
from mpi.stores.sqlite_schema import VERSION_BITS


@dataclass(slots=True)
class RecordRow:
    """A record as the change will leave it; ``version`` 0 means that it has no row yet."""

    number: int
    key: RecordKey
    version: int = 0
    status: RecordStatus | None = None
    person: str | None = None

    def copy(self) -> RecordRow:
        """The same row. A fifth of the time of ``dataclasses.replace``, for every record that a commit touches."""
        return RecordRow(self.number, self.key, self.version, self.status, self.person)


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """Which version row a submission becomes. ``settles`` is a pending one that it ends."""

    number: int
    is_new: bool
    settles: int | None


def load_record(connection: sqlite3.Connection, key: RecordKey) -> RecordRow | None:
    """The record as it stands; None if it was never seen."""
    row = connection.execute(
        """SELECT r.id, r.version, r.status, p.mpi_id FROM record r
        LEFT JOIN person p ON p.id = r.person WHERE r.source = ? AND r.source_id = ?""",
        (key.source, key.source_id),
    ).fetchone()
    if row is None:
        return None
    return RecordRow(row[0], key, row[1], RecordStatus(row[2]), row[3])


def plan_version(
    connection: sqlite3.Connection, record: RecordRow, content: StoredRecord
) -> VersionPlan:
    """Number the version. Content that is pending already is not stored as pending or history again:
    repeated, it stays pending; as HISTORY it was rejected; as ACTIVE it was accepted and gets a new version.
    """
    if record.version == 0:
        return VersionPlan(1, is_new=True, settles=None)
    first = record.number << VERSION_BITS
    span = (first, first + (1 << VERSION_BITS) - 1)
    last = connection.execute(
        "SELECT max(version) FROM record_version WHERE id BETWEEN ? AND ?", span
    ).fetchone()[0]
    pending = connection.execute(
        """SELECT version FROM record_version
        WHERE id BETWEEN ? AND ? AND status = 'pending' AND digest = ?""",
        (*span, content.digest),
    ).fetchone()
    if pending is None:
        return VersionPlan(last + 1, is_new=True, settles=None)
    if content.status is RecordStatus.PENDING:
        return VersionPlan(pending[0], is_new=False, settles=None)
    if content.status is RecordStatus.HISTORY:
        return VersionPlan(pending[0], is_new=False, settles=pending[0])
    return VersionPlan(last + 1, is_new=True, settles=pending[0])


def write_version(
    connection: sqlite3.Connection,
    record: RecordRow,
    content: StoredRecord,
    plan: VersionPlan,
    seq: int,
) -> None:
    """Store the version. ``record`` still names the current version as it was."""
    base = record.number << VERSION_BITS
    if plan.settles is not None:
        _set_history(connection, base + plan.settles)
    if plan.is_new:
        connection.execute(
            "INSERT INTO record_version VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                base + plan.number,
                record.number,
                plan.number,
                content.status.value,
                encode_time(content.received_at),
                None if content.recorded_at is None else encode_time(content.recorded_at),
                content.digest,
                encode_demographics(content.demographics),
                encode_standard(content.standard),
                encode_keys(content.blocking_keys),
                encode_warnings(content.warnings),
                seq,
            ),
        )


def replace_keys(
    connection: sqlite3.Connection, record: RecordRow, content: StoredRecord, recent: Recent
) -> Recent:
    """Find a record under the keys of its new version only, if that becomes the current one.

    ``record`` still names the current version as it was.
    """
    if content.status not in {RecordStatus.ACTIVE, RecordStatus.DELETED}:
        return recent
    keys = set(content.blocking_keys) if content.status is RecordStatus.ACTIVE else set()
    old: set[int] = set()
    if record.version:
        current = (record.number << VERSION_BITS) + record.version
        blob, status = connection.execute(
            "SELECT blocking_keys, status FROM record_version WHERE id = ?", (current,)
        ).fetchone()
        if status == RecordStatus.ACTIVE.value:
            old = set(decode_keys(blob))
            _set_history(connection, current)
    return exchange(connection, record.number, old - keys, keys - old, recent)


def _set_history(connection: sqlite3.Connection, version_id: int) -> None:
    connection.execute("UPDATE record_version SET status = 'history' WHERE id = ?", (version_id,))


def write_link(
    connection: sqlite3.Connection, before: RecordRow, person: int | None, seq: int
) -> None:
    """Supersede the link of a record, if it has one; ``person`` None leaves it without."""
    record = before.number
    if before.person is not None:
        connection.execute(
            "UPDATE link SET until_seq = ? WHERE record = ? AND until_seq IS NULL", (seq, record)
        )
    if person is not None:
        connection.execute("INSERT INTO link VALUES (?, ?, ?, NULL)", (record, seq, person))
