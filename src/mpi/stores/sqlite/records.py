"""Records and their versions, blocking keys and links, as a commit writes them."""

from __future__ import annotations

import sqlite3

from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordStatus
from mpi.stores.codec import (
    decode_keys,
    encode_demographics,
    encode_keys,
    encode_standard,
    encode_time,
    encode_warnings,
)
from mpi.stores.rows import VERSION_BITS, RecordRow, VersionPlan
from mpi.stores.sqlite.blocking import exchange
from mpi.stores.sqlite.schema import Connection


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
    connection: Connection, record: RecordRow, content: StoredRecord, seq: int
) -> None:
    """Find a record under the keys of its new version only, if that becomes the current one.

    ``record`` still names the current version as it was.
    """
    if content.status not in {RecordStatus.ACTIVE, RecordStatus.DELETED}:
        return
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
    exchange(connection, seq, record.number, old - keys, keys - old)


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
