"""What a plan asks of the tables, inside the write transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from mpi.domain.identity import AssertionKind, TaskKind, TaskStatus
from mpi.domain.record import RecordKey, RecordStatus
from mpi.stores.rows import VERSION_BITS, AssertionRow, PersonRow, RecordRow
from mpi.stores.sqlite.reads import as_list


class SqliteRows:
    """Implements :class:`mpi.stores.rows.Rows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def person(self, mpi_id: str) -> PersonRow | None:
        """See :class:`mpi.stores.rows.Rows`."""
        row = self._connection.execute(
            """SELECT p.id, p.version, p.active, i.mpi_id FROM person p
            LEFT JOIN person i ON i.id = p.merged_into WHERE p.mpi_id = ?""",
            (mpi_id,),
        ).fetchone()
        if row is None:
            return None
        return PersonRow(row[0], mpi_id, row[1], bool(row[2]), bool(row[2]), row[3])

    def record(self, key: RecordKey) -> RecordRow | None:
        """See :class:`mpi.stores.rows.Rows`."""
        row = self._connection.execute(
            """SELECT r.id, r.version, r.status, p.mpi_id FROM record r
            LEFT JOIN person p ON p.id = r.person WHERE r.source = ? AND r.source_id = ?""",
            (key.source, key.source_id),
        ).fetchone()
        if row is None:
            return None
        return RecordRow(row[0], key, row[1], RecordStatus(row[2]), row[3])

    def versions(self, record: int, digest: bytes) -> tuple[int, int | None]:
        """See :class:`mpi.stores.rows.Rows`."""
        first = record << VERSION_BITS
        span = (first, first + (1 << VERSION_BITS) - 1)
        last = self._connection.execute(
            "SELECT max(version) FROM record_version WHERE id BETWEEN ? AND ?", span
        ).fetchone()[0]
        pending = self._connection.execute(
            """SELECT version FROM record_version
            WHERE id BETWEEN :first AND :last AND status = 'pending' AND digest = :digest AND id > coalesce(
                (SELECT max(id) FROM record_version WHERE id BETWEEN :first AND :last AND status = 'deleted'), 0)""",
            {"first": span[0], "last": span[1], "digest": digest},
        ).fetchone()
        return last, pending and pending[0]

    def held(self, person: int) -> Collection[int]:
        """See :class:`mpi.stores.rows.Rows`."""
        rows = self._connection.execute("SELECT id FROM record WHERE person = ?", (person,))
        return [row[0] for row in rows]

    def asserted(self, records: Collection[int]) -> Sequence[AssertionRow]:
        """See :class:`mpi.stores.rows.Rows`."""
        rows = self._connection.execute(
            """SELECT x.id, x.kind, x.left_record, x.right_record FROM json_each(:records) j
                CROSS JOIN assertion x ON x.left_record = j.value WHERE x.lifted_seq IS NULL
            UNION SELECT x.id, x.kind, x.left_record, x.right_record FROM json_each(:records) j
                CROSS JOIN assertion x ON x.right_record = j.value WHERE x.lifted_seq IS NULL""",
            {"records": as_list(records)},
        )
        return [AssertionRow(row[0], AssertionKind(row[1]), row[2], row[3]) for row in rows]

    def last_task(self) -> int:
        """See :class:`mpi.stores.rows.Rows`."""
        row = self._connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'task'"  # a restore leaves some out
        ).fetchone()
        return 0 if row is None else int(row[0])

    def open_task(self, record: int, kind: TaskKind) -> int | None:
        """See :class:`mpi.stores.rows.Rows`."""
        row = self._connection.execute(
            "SELECT id FROM task WHERE record = ? AND kind = ? AND status <> 'decided'",
            (record, kind.value),
        ).fetchone()
        return None if row is None else int(row[0])

    def task(self, number: int) -> TaskStatus | None:
        """See :class:`mpi.stores.rows.Rows`."""
        row = self._connection.execute("SELECT status FROM task WHERE id = ?", (number,)).fetchone()
        return None if row is None else TaskStatus(row[0])
