"""Reading records, persons and neighbourhoods. Plain functions of a connection in one snapshot."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from mpi.domain.identity import Assertion, Neighbourhood, PersonState, StoredRecord
from mpi.domain.record import RecordKey, RecordStatus
from mpi.stores import sqlite_blocking
from mpi.stores.codec import (
    decode_demographics,
    decode_keys,
    decode_standard,
    decode_time,
    decode_warnings,
    person_state,
    record_key,
    stored_record,
)
from mpi.stores.history_codec import asserted
from mpi.stores.rows import VERSION_BITS

_MANY_VERSIONS = "SELECT s.* FROM json_each(?) j CROSS JOIN stored_version s ON s.id = j.value"
_ASSERTIONS = """SELECT a.id, a.kind, l.source, l.source_id, r.source, r.source_id, a.actor, a.reason,
    a.at, a.seq FROM assertion a JOIN record l ON l.id = a.left_record
    JOIN record r ON r.id = a.right_record
    WHERE a.lifted_seq IS NULL AND a.id IN (
        SELECT x.id FROM json_each(:records) j CROSS JOIN assertion x ON x.left_record = j.value
            WHERE x.lifted_seq IS NULL
        UNION SELECT x.id FROM json_each(:records) j CROSS JOIN assertion x ON x.right_record = j.value
            WHERE x.lifted_seq IS NULL)
    ORDER BY a.id"""
_STATUS = {status.value: status for status in RecordStatus}
_CACHE_ENTRIES = 1_000
"""What was just written is asked for next. More of them make loads no faster, but collections of garbage longer."""


class RecordCache:
    """The most recently used current versions, decoded.

    A version never changes once committed, so its row number is the key. Versions written in a transaction that
    is then rolled back could be read back under the number of another: a rollback clears the cache.
    """

    def __init__(self, entries: int = _CACHE_ENTRIES) -> None:
        self._entries = entries
        self._records: OrderedDict[int, StoredRecord] = OrderedDict()

    def get(self, version_id: int, mpi_id: str) -> StoredRecord | None:
        """The version if it is known and still belongs to that person."""
        record = self._records.get(version_id)
        if record is None or record.mpi_id != mpi_id:
            return None
        self._records.move_to_end(version_id)
        return record

    def put(self, version_id: int, record: StoredRecord) -> None:
        """Keep a version, dropping the one used longest ago when full."""
        self._records[version_id] = record
        self._records.move_to_end(version_id)
        if len(self._records) > self._entries:
            self._records.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._records.clear()


def as_list(values: Iterable[int]) -> str:
    """Integers as the one argument of ``json_each(?)``: a statement of fixed text is prepared once."""
    return orjson.dumps(list(values)).decode()


def candidates(
    connection: sqlite3.Connection,
    cache: RecordCache,
    blocking_keys: Sequence[tuple[int, tuple[int, ...]]],
    limit: int,
) -> Neighbourhood:
    """See :meth:`mpi.ports.IdentityStore.candidates`."""
    found, narrowed = sqlite_blocking.members(connection, blocking_keys, limit)
    persons, records = _persons_of(connection, cache, found) if found else ((), ())
    position, index_size, asserted_ = connection.execute(
        "SELECT (SELECT coalesce(max(seq), 0) FROM event), records, assertions FROM tally"
    ).fetchone()
    return Neighbourhood(
        persons=persons,
        assertions=assertions(connection, records) if asserted_ and records else (),
        position=position,
        index_size=index_size,
        narrowed=narrowed,
    )


def _persons_of(
    connection: sqlite3.Connection, cache: RecordCache, members: Iterable[int]
) -> tuple[tuple[PersonState, ...], list[int]]:
    """The persons that own the records, oldest first, and the numbers of all their active records."""
    rows = connection.execute(
        """SELECT p.mpi_id, p.version, r.id, r.version_id
        FROM (SELECT DISTINCT m.person FROM json_each(?) j CROSS JOIN record m ON m.id = j.value
            WHERE m.person NOT NULL) h
        CROSS JOIN person p ON p.id = h.person CROSS JOIN record r ON r.person = h.person
        ORDER BY p.id, r.id""",
        (as_list(members),),
    ).fetchall()
    content = _current_versions(connection, cache, [(row[3], row[0]) for row in rows])
    owned: dict[tuple[str, int], list[StoredRecord]] = {}
    for mpi_id, version, _, version_id in rows:
        owned.setdefault((mpi_id, version), []).append(content[version_id])
    persons = [
        person_state(mpi_id, version, True, None, tuple(records))  # noqa: FBT003
        for (mpi_id, version), records in owned.items()
    ]
    return tuple(persons), [row[2] for row in rows]


def _current_versions(
    connection: sqlite3.Connection, cache: RecordCache, wanted: Sequence[tuple[int, str]]
) -> dict[int, StoredRecord]:
    """The content of current versions by row number, from the cache where possible."""
    known: dict[int, StoredRecord] = {}
    missing: list[int] = []
    for version_id, mpi_id in wanted:
        record = cache.get(version_id, mpi_id)
        if record is None:
            missing.append(version_id)
        else:
            known[version_id] = record
    if missing:
        for row in connection.execute(_MANY_VERSIONS, (as_list(missing),)):
            known[row[0]] = record = stored(row)
            cache.put(row[0], record)
    return known


def stored(row: Sequence[Any]) -> StoredRecord:
    """A row of the version columns as a value."""
    return stored_record(
        record_key(row[1], row[2]),
        row[3],
        _STATUS[row[4]],
        decode_demographics(row[5]),
        decode_standard(row[6]),
        decode_keys(row[7]),
        row[8],
        decode_time(row[9]),
        None if row[10] is None else decode_time(row[10]),
        row[11],
        decode_warnings(row[12]),
    )


def as_stored(content: StoredRecord, version: int, mpi_id: str) -> StoredRecord:
    """What reading an active version back gives, as :func:`stored` would."""
    return stored_record(
        content.key,
        version,
        content.status,
        content.demographics,
        content.standard,
        content.blocking_keys,
        content.digest,
        content.received_at,
        content.recorded_at,
        mpi_id,
        content.warnings,
    )


def record(connection: sqlite3.Connection, key: RecordKey) -> StoredRecord | None:
    """See :meth:`mpi.ports.IdentityStore.record`."""
    row = connection.execute(
        """SELECT s.* FROM record r CROSS JOIN stored_version s ON s.id = r.version_id
        WHERE r.source = ? AND r.source_id = ?""",
        (key.source, key.source_id),
    ).fetchone()
    return None if row is None else stored(row)


def versions(connection: sqlite3.Connection, key: RecordKey) -> tuple[StoredRecord, ...]:
    """See :meth:`mpi.ports.IdentityStore.versions`."""
    number = record_number(connection, key)
    if number is None:
        return ()
    first = number << VERSION_BITS
    last = first + (1 << VERSION_BITS) - 1
    rows = connection.execute(
        "SELECT * FROM stored_version WHERE id BETWEEN ? AND ? ORDER BY id", (first, last)
    )
    return tuple(map(stored, rows))


def record_number(connection: sqlite3.Connection, key: RecordKey) -> int | None:
    """The row number of a record; None if it was never seen."""
    row = connection.execute(
        "SELECT id FROM record WHERE source = ? AND source_id = ?", (key.source, key.source_id)
    ).fetchone()
    return None if row is None else int(row[0])


def person(connection: sqlite3.Connection, cache: RecordCache, mpi_id: str) -> PersonState | None:
    """See :meth:`mpi.ports.IdentityStore.person`."""
    row = connection.execute(
        """SELECT p.id, p.mpi_id, p.version, p.active, into_.mpi_id FROM person p
        LEFT JOIN person into_ ON into_.id = p.merged_into WHERE p.mpi_id = ?""",
        (mpi_id,),
    ).fetchone()
    if row is None:
        return None
    owned = connection.execute(
        "SELECT version_id FROM record WHERE person = ? ORDER BY id",
        (row[0],),
    ).fetchall()
    wanted = [(version_id, mpi_id) for (version_id,) in owned]
    content = _current_versions(connection, cache, wanted)
    return PersonState(
        mpi_id=row[1],
        version=row[2],
        active=bool(row[3]),
        merged_into=row[4],
        records=tuple([content[version_id] for (version_id,) in owned]),
    )


def assertions(connection: sqlite3.Connection, records: Iterable[int]) -> tuple[Assertion, ...]:
    """Assertions in force that name any of these records, oldest first."""
    rows = connection.execute(_ASSERTIONS, {"records": as_list(records)})
    return tuple([asserted(row[1:]) for row in rows])


def assertions_of(
    connection: sqlite3.Connection, keys: Sequence[RecordKey]
) -> tuple[Assertion, ...]:
    """See :meth:`mpi.ports.IdentityStore.assertions`."""
    numbers = [record_number(connection, key) for key in keys]
    return assertions(connection, [number for number in numbers if number is not None])
