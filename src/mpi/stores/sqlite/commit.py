"""Applying changes inside an open write transaction. The caller rolls back whenever this raises."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mpi.domain.identity import Committed, Event, IdentityChange
from mpi.domain.record import RecordKey, RecordStatus
from mpi.stores.codec import encode_time, member
from mpi.stores.history_codec import payload
from mpi.stores.plan import Plan, make_plan
from mpi.stores.rows import VERSION_BITS, Head, RecordRow
from mpi.stores.sqlite import outbox
from mpi.stores.sqlite.guard import check_guard, read_head, undone_seq
from mpi.stores.sqlite.reads import EvidenceCache
from mpi.stores.sqlite.records import replace_keys, write_link, write_version
from mpi.stores.sqlite.rows import SqliteRows
from mpi.stores.sqlite.schema import Connection
from mpi.stores.sqlite.stewardship import write_assertions, write_tasks


def apply(
    connection: Connection, cache: EvidenceCache, changes: Sequence[IdentityChange]
) -> Committed:
    """Write the changes and their events. See :meth:`mpi.ports.IdentityStore.commit` for the errors.

    ``cache`` gets the new version: what was just registered is what is asked for next.
    """
    head = read_head(connection)
    for change in changes:
        check_guard(connection, change, head)
    committed = _apply(connection, cache, changes[0], head)
    for change in changes[1:]:
        committed = _apply(connection, cache, change, read_head(connection))
    return committed


def _apply(
    connection: Connection,
    cache: EvidenceCache,
    change: IdentityChange,
    head: Head,
) -> Committed:
    undoes = undone_seq(connection, change.undoes)
    plan = make_plan(change, head, SqliteRows(connection))
    event = plan.event()
    _write(connection, cache, plan, event, undoes)
    return Committed(event=event, mpi_id=plan.subject(), task_ids=tuple(plan.tasks.ids))


def _write(
    connection: Connection,
    cache: EvidenceCache,
    plan: Plan,
    event: Event,
    undoes: int | None,
) -> None:
    at = encode_time(event.at)
    records = [record.number for record in plan.records.values()]
    columns = (event.seq, event.kind.value, at, event.actor, event.reason, undoes)
    connection.execute(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", (*columns, payload(event, records))
    )
    _write_persons(connection, plan)
    _write_records(connection, cache, plan)
    write_assertions(connection, plan.asserting, plan.seq)
    write_tasks(connection, plan.tasks, at, plan.seq)
    outbox.queue(connection, plan.change.errands, event.at)
    connection.execute(
        """UPDATE tally SET minted = minted + :minted, records = records + :records,
        persons = persons + :persons, retired = retired + :retired,
        tasks_open = tasks_open + :tasks_open, assertions = assertions + :assertions""",
        plan.tally(),
    )


def _write_persons(connection: sqlite3.Connection, plan: Plan) -> None:
    # New persons first: retired ones may point to them.
    for person in sorted(plan.persons.values(), key=lambda p: p.version):
        into = None if person.merged_into is None else plan.person(person.merged_into).number
        if person.version == 0:
            connection.execute(
                "INSERT INTO person VALUES (?, ?, 1, ?, ?, ?)",
                (person.number, person.mpi_id, person.active, into, plan.seq),
            )
        else:
            connection.execute(
                "UPDATE person SET version = version + 1, active = ?, merged_into = ? WHERE id = ?",
                (person.active, into, person.number),
            )
        connection.execute("INSERT INTO event_person VALUES (?, ?)", (person.number, plan.seq))


def _write_records(connection: Connection, cache: EvidenceCache, plan: Plan) -> None:
    for key, record in plan.records.items():
        before = plan.before[key]
        person = None if record.person is None else plan.person(record.person).number
        values = (record.version, record.status, person)
        if before.version == 0:
            connection.execute(
                "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
                (record.number, key.source, key.source_id, *values),
            )
        elif record != before:
            connection.execute(
                "UPDATE record SET version = ?, status = ?, person = ? WHERE id = ?",
                (*values, record.number),
            )
        _write_content(connection, cache, plan, key)
        if record.person != before.person:
            write_link(connection, before, person, plan.seq)
        connection.execute("INSERT INTO event_record VALUES (?, ?)", (record.number, plan.seq))


def _write_content(
    connection: Connection, cache: EvidenceCache, plan: Plan, key: RecordKey
) -> None:
    """The version that the change brings, if it is one of this record."""
    content = plan.change.record
    if content is None or plan.version is None or key != content.key:
        return
    before, record = plan.before[key], plan.records[key]
    write_version(connection, before, content, plan.version, plan.seq)
    if content.status is RecordStatus.ACTIVE and record.person is not None:
        cache.put(_version_id(record), member(content.key, content.standard))
    replace_keys(connection, before, content, plan.seq)


def _version_id(record: RecordRow) -> int:
    return (record.number << VERSION_BITS) + record.version
