"""Applying one :class:`IdentityChange` inside an open write transaction.

The change is worked out in memory first, because its event – which nothing may alter later – has to
name the minted person and everything touched. Then it is written, and what only the tables can tell
is checked. The caller rolls back whenever this raises.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from mpi.domain.identity import NEW_PERSON, Committed, Event, IdentityChange, RecordMove
from mpi.domain.mpi_id import format_mpi_id
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import ConcurrentChange, Conflict
from mpi.stores.codec import encode_time
from mpi.stores.numbering import event_id
from mpi.stores.sqlite_blocking import Recent
from mpi.stores.sqlite_guard import Head, check_guard, read_head, undone_seq
from mpi.stores.sqlite_history import payload
from mpi.stores.sqlite_reads import RecordCache, as_stored
from mpi.stores.sqlite_records import (
    RecordRow,
    VersionPlan,
    load_record,
    plan_version,
    replace_keys,
    write_link,
    write_version,
)
from mpi.stores.sqlite_schema import VERSION_BITS
from mpi.stores.sqlite_stewardship import (
    apply_assertions,
    check_not_same,
    open_tasks,
    update_tasks,
)


@dataclass(slots=True)
class _Person:
    """A person as the change will leave it; ``version`` 0 means that it has no row yet."""

    number: int
    mpi_id: str
    version: int
    active: bool
    was_active: bool
    merged_into: str | None


@dataclass(slots=True)
class _Work:
    """The change as far as it is worked out; ``before`` holds the records as they were."""

    connection: sqlite3.Connection
    cache: RecordCache
    change: IdentityChange
    head: Head
    minted: str | None = None
    persons: dict[str, _Person] = field(default_factory=dict)
    records: dict[RecordKey, RecordRow] = field(default_factory=dict)
    before: dict[RecordKey, RecordRow] = field(default_factory=dict)
    moves: list[RecordMove] = field(default_factory=list)
    retired: list[tuple[str, str | None]] = field(default_factory=list)
    version: VersionPlan | None = None
    recent: Recent = field(init=False)

    def __post_init__(self) -> None:
        self.recent = self.head.recent

    @property
    def seq(self) -> int:
        return self.head.position + 1

    def resolve(self, mpi_id: str) -> str:
        """``NEW_PERSON`` becomes the id that is minted for it."""
        if mpi_id != NEW_PERSON:
            return mpi_id
        if self.minted is None:
            number = self.head.minted + 1
            self.minted = format_mpi_id(number)
            self.persons[self.minted] = _Person(
                number, self.minted, 0, active=True, was_active=False, merged_into=None
            )
        return self.minted

    def person(self, mpi_id: str) -> _Person:
        """A person that the change touches."""
        known = self.persons.get(mpi_id)
        if known is not None:
            return known
        row = self.connection.execute(
            """SELECT p.id, p.version, p.active, i.mpi_id FROM person p
            LEFT JOIN person i ON i.id = p.merged_into WHERE p.mpi_id = ?""",
            (mpi_id,),
        ).fetchone()
        if row is None:
            raise Conflict("the change names a person that was never minted")
        person = _Person(row[0], mpi_id, row[1], bool(row[2]), bool(row[2]), row[3])
        self.persons[mpi_id] = person
        return person

    def record(self, key: RecordKey) -> RecordRow:
        """A record that the change touches. One never seen gets a number if the change registers it."""
        known = self.records.get(key)
        if known is not None:
            return known
        row = load_record(self.connection, key)
        if row is None:
            if self.change.record is None or self.change.record.key != key:
                raise Conflict("the change names a record that was never registered")
            row = RecordRow(self.head.last_record + 1, key)
        self.records[key], self.before[key] = row, row.copy()
        if row.person is not None:
            self.person(row.person)
        return row

    def number(self, key: RecordKey) -> int:
        """The row number of a record that the change touches."""
        return self.record(key).number


def apply(
    connection: sqlite3.Connection, cache: RecordCache, changes: Sequence[IdentityChange]
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
    connection: sqlite3.Connection, cache: RecordCache, change: IdentityChange, head: Head
) -> Committed:
    undoes = undone_seq(connection, change.undoes)
    work = _Work(connection, cache, change, head)
    _plan_persons(work)
    _plan_moves(work)
    _plan_record(work)
    for assertion in (*change.assertions, *change.lift):
        work.record(assertion.left)
        work.record(assertion.right)
    for task in change.tasks:
        work.record(task.record)
    _check_records(work)
    event = _event(work)
    _write_event(work, event, undoes)
    _write_persons(work)
    _write_records(work)
    task_ids = _write_stewardship(work)
    _check_holdings(work)
    return Committed(event=event, mpi_id=_subject(work), task_ids=task_ids)


def _plan_persons(work: _Work) -> None:
    for mpi_id in work.change.revive:
        person = work.person(mpi_id)
        if person.active:
            raise ConcurrentChange(f"{mpi_id} is active already")
        person.active, person.merged_into = True, None
    for mpi_id, survivor in work.change.retire:
        person = work.person(mpi_id)
        if not person.active:
            raise ConcurrentChange(f"{mpi_id} was retired meanwhile")
        person.active = False
        person.merged_into = None if survivor is None else work.resolve(survivor)
        work.retired.append((mpi_id, person.merged_into))
    for _, survivor in work.retired:
        if survivor is not None:
            _check_active(work, survivor)


def _plan_moves(work: _Work) -> None:
    if len({move.key for move in work.change.moves}) < len(work.change.moves):
        raise Conflict("the change moves one record twice")
    for move in work.change.moves:
        record = work.record(move.key)
        if record.person != move.origin:
            raise ConcurrentChange("a record has changed hands meanwhile")
        record.person = None if move.target is None else work.resolve(move.target)
        if record.person is not None:
            _check_active(work, record.person)
        work.moves.append(RecordMove(move.key, move.origin, record.person))


def _check_active(work: _Work, mpi_id: str) -> None:
    if not work.person(mpi_id).active:
        raise ConcurrentChange(f"{mpi_id} was retired meanwhile")


def _plan_record(work: _Work) -> None:
    content = work.change.record
    if content is None:
        return
    record = work.record(content.key)
    if content.status is RecordStatus.DELETED and record.status is RecordStatus.DELETED:
        raise ConcurrentChange("the record was deleted meanwhile")
    if content.status is not RecordStatus.ACTIVE and record.status is None:
        raise Conflict("the first version of a record has to be an active one")
    work.version = plan_version(work.connection, record, content)
    if content.status in {RecordStatus.ACTIVE, RecordStatus.DELETED}:
        record.version, record.status = work.version.number, content.status


def _check_records(work: _Work) -> None:
    for record in work.records.values():
        if (record.status is RecordStatus.ACTIVE) != (record.person is not None):
            raise Conflict("an active record belongs to one person, a deleted one to none")


def _event(work: _Work) -> Event:
    change = work.change
    return Event(
        seq=work.seq,
        event_id=event_id(work.seq),
        kind=change.kind,
        at=change.at,
        actor=change.actor,
        reason=change.reason,
        moves=tuple(work.moves),
        retired=tuple(work.retired),
        revived=change.revive,
        persons=tuple(work.persons),
        asserted=change.assertions,
        lifted=change.lift,
        record=None if change.record is None else change.record.key,
        record_version=None if work.version is None else work.version.number,
        undoes=change.undoes,
        detail=change.detail,
    )


def _write_event(work: _Work, event: Event, undoes: int | None) -> None:
    records = [record.number for record in work.records.values()]
    work.connection.execute(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            event.seq,
            event.kind.value,
            encode_time(event.at),
            event.actor,
            event.reason,
            undoes,
            payload(event, records),
        ),
    )


def _write_persons(work: _Work) -> None:
    connection, seq = work.connection, work.seq
    # New persons first: retired ones may point to them.
    for person in sorted(work.persons.values(), key=lambda p: p.version):
        into = None if person.merged_into is None else work.person(person.merged_into).number
        if person.version == 0:
            connection.execute(
                "INSERT INTO person VALUES (?, ?, 1, ?, ?, ?)",
                (person.number, person.mpi_id, person.active, into, seq),
            )
        else:
            connection.execute(
                "UPDATE person SET version = version + 1, active = ?, merged_into = ? WHERE id = ?",
                (person.active, into, person.number),
            )
        connection.execute("INSERT INTO event_person VALUES (?, ?)", (person.number, seq))


def _write_records(work: _Work) -> None:
    connection, seq = work.connection, work.seq
    for key, record in work.records.items():
        before = work.before[key]
        person = None if record.person is None else work.person(record.person).number
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
        content = work.change.record
        if content is not None and work.version is not None and key == content.key:
            write_version(connection, before, content, work.version, seq)
            work.recent = replace_keys(connection, before, content, work.recent)
            if content.status is RecordStatus.ACTIVE and record.person is not None:
                version_id = (record.number << VERSION_BITS) + record.version
                work.cache.put(version_id, as_stored(content, record.version, record.person))
        if record.person != before.person:
            write_link(connection, before, person, seq)
        connection.execute("INSERT INTO event_record VALUES (?, ?)", (record.number, seq))


def _write_stewardship(work: _Work) -> tuple[str, ...]:
    """Assertions, tasks and the tally; returns the ids of the tasks asked for."""
    connection, change, seq = work.connection, work.change, work.seq
    at = encode_time(change.at)
    asserted = apply_assertions(connection, change.assertions, change.lift, work.number, seq)
    task_ids, opened = open_tasks(connection, change.tasks, work.number, work.resolve, at, seq)
    opened += update_tasks(connection, change.task_updates, at)
    records = sum(_is_active(r) for r in work.records.values()) - sum(
        _is_active(r) for r in work.before.values()
    )
    persons = sum(p.active - p.was_active for p in work.persons.values())
    minted = work.minted is not None
    connection.execute(
        """UPDATE tally SET minted = minted + ?, records = records + ?, persons = persons + ?,
        retired = retired + ?, tasks_open = tasks_open + ?, assertions = assertions + ?,
        recent_keys = ?, next_key = ?""",
        (
            minted,
            records,
            persons,
            minted - persons,
            opened,
            asserted,
            work.recent.rows,
            work.recent.next_key,
        ),
    )
    return task_ids


def _is_active(record: RecordRow) -> bool:
    return record.status is RecordStatus.ACTIVE


def _check_holdings(work: _Work) -> None:
    """Active persons hold a record, retired ones none, and nobody two that are not the same."""
    for person in work.persons.values():
        holds = work.connection.execute(
            "SELECT 1 FROM record WHERE person = ? LIMIT 1", (person.number,)
        ).fetchone()
        if person.active and not holds:
            raise Conflict(f"{person.mpi_id} would be left without a record; retire it")
        if holds and not person.active:
            raise Conflict(f"{person.mpi_id} cannot retire while it holds records")
        if work.head.assertions or work.change.assertions:
            check_not_same(work.connection, person.number)


def _subject(work: _Work) -> str | None:
    """The minted person, else the one that holds the record of the change, else the first touched."""
    if work.minted is not None:
        return work.minted
    if work.change.record is not None:
        holder = work.records[work.change.record.key].person
        if holder is not None:
            return holder
    targets = [move.target for move in work.moves if move.target is not None]
    return next(iter([*targets, *work.persons]), None)
