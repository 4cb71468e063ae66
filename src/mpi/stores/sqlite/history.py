"""Events and tasks: how they lie in the tables and how they are read back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import orjson

from mpi.domain.identity import Event, Task, TaskKind, TaskStatus, Touched
from mpi.domain.record import RecordKey
from mpi.errors import InvalidInput
from mpi.stores.codec import decode_time, encode_time
from mpi.stores.history_codec import changes_content, decode_event, touched_records
from mpi.stores.numbering import event_id, event_seq, task_id, task_number
from mpi.stores.sqlite.reads import as_list, keys_of_versions

_EVENTS = "SELECT e.* FROM event e WHERE e.seq > ? ORDER BY e.seq LIMIT ?"
_EVENTS_BETWEEN = "SELECT e.* FROM event e WHERE e.seq BETWEEN ? AND ? ORDER BY e.seq"
_EVENTS_OF_PERSON = """SELECT e.* FROM event_person x
    CROSS JOIN event e ON e.seq = x.seq
    WHERE x.person = (SELECT id FROM person WHERE mpi_id = ?) AND x.seq > ?
    ORDER BY x.seq LIMIT ?"""
_EVENTS_OF_RECORD = """SELECT e.* FROM record r
    CROSS JOIN event_record x ON x.record = r.id
    CROSS JOIN event e ON e.seq = x.seq
    WHERE r.source = ? AND r.source_id = ? ORDER BY x.seq"""
POSITION = "SELECT coalesce(max(seq), 0) FROM event"
_EVENT = "SELECT e.* FROM event e WHERE e.seq = ?"
_LATER_EVENTS = """SELECT e.* FROM event e WHERE e.seq IN (
        SELECT later.seq FROM json_each(:records) j
            CROSS JOIN event_record later ON later.record = j.value AND later.seq > :seq
        UNION SELECT later.seq FROM json_each(:persons) j
            CROSS JOIN person p ON p.mpi_id = j.value
            CROSS JOIN event_person later ON later.person = p.id AND later.seq > :seq)
    ORDER BY e.seq"""
_TASK = "SELECT * FROM task_row WHERE id = ?"
_TASKS = """SELECT * FROM task_row WHERE id > :start
    AND (deferred_until IS NULL OR deferred_until <= :due) ORDER BY id LIMIT :limit"""
_TASKS_OF_STATUS = """SELECT * FROM task_row WHERE status = :status AND id > :start
    AND (deferred_until IS NULL OR deferred_until <= :due) ORDER BY id LIMIT :limit"""
_UNDECIDED = """SELECT * FROM task_row WHERE id IN (
        SELECT mine.id FROM person p CROSS JOIN record owned ON owned.person = p.id
            CROSS JOIN task mine ON mine.record = owned.id WHERE p.mpi_id = :mpi_id
        UNION SELECT x.task FROM person p CROSS JOIN task_person x ON x.person = p.id
            WHERE p.mpi_id = :mpi_id)
    AND status <> :decided ORDER BY id"""
_NEVER = 2**63 - 1


def undone_by(connection: sqlite3.Connection, seq: int) -> int | None:
    """The event that undoes ``seq`` and is not undone itself."""
    row = connection.execute("SELECT max(seq) FROM event WHERE undoes = ?", (seq,)).fetchone()
    if row[0] is None or undone_by(connection, row[0]) is not None:
        return None
    return int(row[0])


def _with_undone(connection: sqlite3.Connection, rows: Sequence[Any]) -> tuple[Event, ...]:
    targets = {
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT u.undoes FROM json_each(?) j CROSS JOIN event u ON u.undoes = j.value",
            (as_list([row[0] for row in rows]),),
        )
    }
    found = []
    for row in rows:
        by = undone_by(connection, row[0]) if row[0] in targets else None
        found.append(decode_event(row, None if by is None else event_id(by)))
    return tuple(found)


def events(
    connection: sqlite3.Connection, after: int, limit: int, mpi_id: str | None
) -> tuple[Event, ...]:
    """See :meth:`mpi.ports.IdentityHistory.events`."""
    if mpi_id is None:
        rows = connection.execute(_EVENTS, (after, limit)).fetchall()
    else:
        rows = connection.execute(_EVENTS_OF_PERSON, (mpi_id, after, limit)).fetchall()
    return _with_undone(connection, rows)


def touched(connection: sqlite3.Connection, first: int, last: int) -> tuple[Touched, ...]:
    """See :meth:`mpi.ports.IdentityHistory.touched`."""
    rows = connection.execute(_EVENTS_BETWEEN, (first, last)).fetchall()
    return tuple([_touched(connection, row) for row in rows])


def _touched(connection: sqlite3.Connection, row: Sequence[Any]) -> Touched:
    event = decode_event(row)
    records = set(touched_records(row[6])) if changes_content(event) else set[int]()
    keys = frozenset(chain.from_iterable(keys_of_versions(connection, records)))
    return Touched(event.seq, event.at, tuple(sorted(event.persons)), keys)


def record_events(connection: sqlite3.Connection, key: RecordKey) -> tuple[Event, ...]:
    """See :meth:`mpi.ports.IdentityHistory.record_events`."""
    rows = connection.execute(_EVENTS_OF_RECORD, (key.source, key.source_id)).fetchall()
    return _with_undone(connection, rows)


def event(connection: sqlite3.Connection, identifier: str) -> Event | None:
    """See :meth:`mpi.ports.IdentityHistory.event`."""
    seq = event_seq(identifier)
    if seq is None:
        return None
    return next(iter(_with_undone(connection, connection.execute(_EVENT, (seq,)).fetchall())), None)


def later_events(connection: sqlite3.Connection, of: Event) -> tuple[Event, ...]:
    """See :meth:`mpi.ports.IdentityHistory.later_events`."""
    row = connection.execute("SELECT payload FROM event WHERE seq = ?", (of.seq,)).fetchone()
    if row is None:
        return ()
    rows = connection.execute(
        _LATER_EVENTS,
        {
            "seq": of.seq,
            "records": as_list(touched_records(row[0])),
            "persons": orjson.dumps(of.persons).decode(),
        },
    ).fetchall()
    return _with_undone(connection, rows)


def tasks(
    connection: sqlite3.Connection,
    status: TaskStatus | None,
    after: str | None,
    limit: int,
    due: datetime | None,
) -> tuple[Task, ...]:
    """See :meth:`mpi.ports.TaskQueue.tasks`."""
    start = 0 if after is None else task_number(after)
    if start is None:
        raise InvalidInput("after: not the id of a task")
    wanted = {
        "status": None if status is None else status.value,
        "start": start,
        "limit": limit,
        "due": _NEVER if due is None else encode_time(due),
    }
    statement = _TASKS if status is None else _TASKS_OF_STATUS
    return tuple(map(_task, connection.execute(statement, wanted)))


def undecided(connection: sqlite3.Connection, mpi_id: str) -> tuple[Task, ...]:
    """See :meth:`mpi.ports.TaskQueue.undecided`."""
    wanted = {"mpi_id": mpi_id, "decided": TaskStatus.DECIDED.value}
    return tuple(map(_task, connection.execute(_UNDECIDED, wanted)))


def task(connection: sqlite3.Connection, identifier: str) -> Task | None:
    """See :meth:`mpi.ports.TaskQueue.task`."""
    number = task_number(identifier)
    row = None if number is None else connection.execute(_TASK, (number,)).fetchone()
    return None if row is None else _task(row)


def _task(row: Sequence[Any]) -> Task:
    return Task(
        task_id=task_id(row[0]),
        version=row[1],
        kind=TaskKind(row[2]),
        status=TaskStatus(row[3]),
        record=RecordKey(row[4], row[5]),
        candidates=tuple(orjson.loads(row[6])),
        weight=row[7],
        reason=row[8],
        opened_at=decode_time(row[9]),
        assignee=row[10],
        outcome=row[11],
        decided_at=None if row[12] is None else decode_time(row[12]),
        deferred_until=None if row[13] is None else decode_time(row[13]),
    )


def statistics(connection: sqlite3.Connection) -> dict[str, int]:
    """See :meth:`mpi.ports.IdentityHistory.statistics`."""
    names = ("records", "persons", "retired", "tasks_open", "assertions", "events")
    row = connection.execute("""SELECT records, persons, retired, tasks_open, assertions,
        (SELECT coalesce(max(seq), 0) FROM event) FROM tally""").fetchone()
    return dict(zip(names, row, strict=True))
