"""History against the present: the events, applied from the first, must lead to what the tables say."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from mpi.domain.identity import Event
from mpi.domain.record import RecordKey
from mpi.stores.history_codec import decode_event
from mpi.stores.numbering import event_id


class _Past:
    """Who held what, after the events so far. Persons map to their survivor, None if active."""

    def __init__(self) -> None:
        self.holders: dict[RecordKey, str | None] = {}
        self.active: set[str] = set()
        self.aliases: dict[str, str | None] = {}

    def apply(self, event: Event) -> Iterator[str]:
        for mpi_id in event.revived:
            if mpi_id in self.active:
                yield f"{event.event_id} revives {mpi_id}, which was active"
            self.aliases.pop(mpi_id, None)
            self.active.add(mpi_id)
        for move in event.moves:
            if self.holders.get(move.key) != move.origin:
                yield f"{event.event_id} takes a record from a person that did not hold it"
            self.holders[move.key] = move.target
            if move.target is not None and move.target not in self.aliases:
                self.active.add(move.target)
        for mpi_id, survivor in event.retired:
            if mpi_id not in self.active:
                yield f"{event.event_id} retires {mpi_id}, which was not active"
            self.active.discard(mpi_id)
            self.aliases[mpi_id] = survivor


def replay(connection: sqlite3.Connection) -> Iterator[str]:
    """What the events and the tables tell differently."""
    past = _Past()
    for row in connection.execute("SELECT * FROM event ORDER BY seq"):
        try:
            event = decode_event(row)
        except (ValueError, TypeError, LookupError, AttributeError):
            yield f"{event_id(row[0])} cannot be read"
            return
        yield from past.apply(event)
    yield from _compare_records(connection, past.holders)
    yield from _compare_persons(connection, past)


def _compare_records(
    connection: sqlite3.Connection, holders: dict[RecordKey, str | None]
) -> Iterator[str]:
    for number, source, source_id, mpi_id in connection.execute(
        """SELECT r.id, r.source, r.source_id, p.mpi_id FROM record r
        LEFT JOIN person p ON p.id = r.person"""
    ):
        if holders.pop(RecordKey(source, source_id), None) != mpi_id:
            yield f"record {number} belongs to another person than its events say"
    missing = sum(holder is not None for holder in holders.values())
    if missing:
        yield f"{missing} records of the history are missing"


def _compare_persons(connection: sqlite3.Connection, past: _Past) -> Iterator[str]:
    for mpi_id, active, survivor in connection.execute(
        """SELECT p.mpi_id, p.active, i.mpi_id FROM person p
        LEFT JOIN person i ON i.id = p.merged_into"""
    ):
        if bool(active) != (mpi_id in past.active) or survivor != past.aliases.get(mpi_id):
            yield f"{mpi_id} is not as its events left it"
