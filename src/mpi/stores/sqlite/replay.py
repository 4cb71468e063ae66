"""History against the present: the events, applied from the first, must lead to what the tables say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from mpi.domain.record import RecordKey
from mpi.stores.history_codec import decode_event
from mpi.stores.numbering import event_id
from mpi.stores.verification import DAMAGED, Past


def replay(connection: sqlite3.Connection) -> Iterator[str]:
    """What the events and the tables tell differently."""
    past = Past()
    for row in connection.execute("SELECT * FROM event ORDER BY seq"):
        try:
            event = decode_event(row)
        except DAMAGED:
            yield f"{event_id(row[0])} cannot be read"
            return
        yield from past.apply(event)
    for number, source, source_id, mpi_id in connection.execute(
        """SELECT r.id, r.source, r.source_id, p.mpi_id FROM record r
        LEFT JOIN person p ON p.id = r.person"""
    ):
        yield from past.compare_record(number, RecordKey(source, source_id), mpi_id)
    yield from past.missing_records()
    for mpi_id, active, survivor in connection.execute(
        """SELECT p.mpi_id, p.active, i.mpi_id FROM person p
        LEFT JOIN person i ON i.id = p.merged_into"""
    ):
        yield from past.compare_person(mpi_id, survivor, active=bool(active))
