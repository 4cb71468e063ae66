"""Reading records, persons and neighbourhoods. Plain functions of a connection in one snapshot."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any

import orjson

from mpi.domain.identity import (
    Assertion,
    Member,
    Neighbour,
    Neighbourhood,
    PersonState,
    StoredRecord,
)
from mpi.domain.record import RecordKey
from mpi.matching.blocking import BlockingKeys
from mpi.stores.codec import (
    STATUSES,
    decode_demographics,
    decode_keys,
    decode_standard,
    decode_time,
    decode_warnings,
    member,
    neighbour,
    record_key,
    stored_record,
)
from mpi.stores.history_codec import asserted
from mpi.stores.rows import VERSION_BITS
from mpi.stores.sqlite import blocking
from mpi.stores.sqlite.schema import Connection

# In the order of numbers: the oldest person first, and so its records.
_NEIGHBOURS = """SELECT p.mpi_id, r.id, r.version_id, r.source, r.source_id, v.standard
    FROM (SELECT DISTINCT m.person FROM json_each(?) j CROSS JOIN record m ON m.id = j.value
        WHERE m.person NOT NULL) h
    CROSS JOIN person p ON p.id = h.person CROSS JOIN record r ON r.person = h.person
    CROSS JOIN record_version v ON v.id = r.version_id
    ORDER BY p.id, r.id"""
_ASSERTIONS = """SELECT a.id, a.kind, l.source, l.source_id, r.source, r.source_id, a.actor, a.reason,
    a.at, a.seq FROM assertion a JOIN record l ON l.id = a.left_record
    JOIN record r ON r.id = a.right_record
    WHERE a.lifted_seq IS NULL AND a.id IN (
        SELECT x.id FROM json_each(:records) j CROSS JOIN assertion x ON x.left_record = j.value
            WHERE x.lifted_seq IS NULL
        UNION SELECT x.id FROM json_each(:records) j CROSS JOIN assertion x ON x.right_record = j.value
            WHERE x.lifted_seq IS NULL)
    ORDER BY a.id"""
_CACHE_ENTRIES = 1_000
"""More of them make loads no faster, but collections of garbage longer."""


class EvidenceCache:
    """What was written last, as evidence: it is asked for next.

    What is merely read is not kept. Hardly any of it is read again soon, and a thousand neighbours coming and going are
    young objects for the garbage collector to walk, milliseconds each time.

    A version never changes once committed, so its row number is the key. Versions written in a transaction that
    is then rolled back could be read back under the number of another: a rollback clears the cache.
    """

    def __init__(self) -> None:
        self._members: OrderedDict[int, Member] = OrderedDict()

    def get(self, version_id: int) -> Member | None:
        """The version if it is known."""
        known = self._members.get(version_id)
        if known is not None:
            self._members.move_to_end(version_id)
        return known

    def put(self, version_id: int, evidence: Member) -> None:
        """Keep a version, dropping the one used longest ago when full."""
        self._members[version_id] = evidence
        self._members.move_to_end(version_id)
        if len(self._members) > _CACHE_ENTRIES:
            self._members.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._members.clear()


def as_list(values: Iterable[int]) -> str:
    """Integers as the one argument of ``json_each(?)``: a statement of fixed text is prepared once."""
    return orjson.dumps(list(values)).decode()


def candidates(
    connection: Connection,
    cache: EvidenceCache,
    blocking_keys: BlockingKeys,
    limit: int,
) -> Neighbourhood:
    """See :meth:`mpi.ports.IdentityStore.candidates`."""
    found, narrowed = blocking.members(connection, blocking_keys, limit)
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
    connection: sqlite3.Connection, cache: EvidenceCache, members: Iterable[int]
) -> tuple[tuple[Neighbour, ...], list[int]]:
    """The persons that own the records, oldest first, and the numbers of all their active records."""
    owned: dict[str, list[Member]] = {}
    records = []
    for mpi_id, number, version_id, source, source_id, standard in connection.execute(
        _NEIGHBOURS, (as_list(members),)
    ):
        evidence = cache.get(version_id)
        if evidence is None:
            evidence = member(record_key(source, source_id), decode_standard(standard))
        owned.setdefault(mpi_id, []).append(evidence)
        records.append(number)
    return tuple([neighbour(mpi_id, tuple(held)) for mpi_id, held in owned.items()]), records


def stored(row: Sequence[Any]) -> StoredRecord:
    """A row of the version columns as a value."""
    return stored_record(
        record_key(row[1], row[2]),
        row[3],
        STATUSES[row[4]],
        decode_demographics(row[5]),
        decode_standard(row[6]),
        decode_keys(row[7]),
        row[8],
        decode_time(row[9]),
        None if row[10] is None else decode_time(row[10]),
        row[11],
        decode_warnings(row[12]),
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


def keys_of_versions(
    connection: sqlite3.Connection, records: Set[int]
) -> Iterator[tuple[int, ...]]:
    """The blocking keys of each version of the records."""
    for (blob,) in connection.execute(
        """SELECT v.blocking_keys FROM json_each(:records) j CROSS JOIN record_version v
        ON v.id BETWEEN (j.value << :bits) AND (j.value << :bits) + (1 << :bits) - 1""",
        {"records": as_list(records), "bits": VERSION_BITS},
    ):
        yield decode_keys(blob)


def record_number(connection: sqlite3.Connection, key: RecordKey) -> int | None:
    """The row number of a record; None if it was never seen."""
    row = connection.execute(
        "SELECT id FROM record WHERE source = ? AND source_id = ?", (key.source, key.source_id)
    ).fetchone()
    return None if row is None else int(row[0])


def person(connection: sqlite3.Connection, mpi_id: str) -> PersonState | None:
    """See :meth:`mpi.ports.IdentityStore.person`."""
    row = connection.execute(
        """SELECT p.id, p.mpi_id, p.version, p.active, into_.mpi_id FROM person p
        LEFT JOIN person into_ ON into_.id = p.merged_into WHERE p.mpi_id = ?""",
        (mpi_id,),
    ).fetchone()
    if row is None:
        return None
    held = connection.execute(
        """SELECT s.* FROM record r CROSS JOIN stored_version s ON s.id = r.version_id
        WHERE r.person = ? ORDER BY r.id""",
        (row[0],),
    )
    return PersonState(
        mpi_id=row[1],
        version=row[2],
        active=bool(row[3]),
        merged_into=row[4],
        records=tuple(map(stored, held)),
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
