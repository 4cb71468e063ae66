"""Working out one :class:`IdentityChange` in memory, the same for every store.

An event names the minted person and everything touched, and nothing may alter it later; so a change is worked out
and checked as a whole before anything of it is written. What only a search can tell – whether the change
came too late – is checked by the store before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain

from mpi.domain.identity import (
    NEW_PERSON,
    AssertionKind,
    Event,
    EventKind,
    IdentityChange,
    RecordMove,
)
from mpi.domain.mpi_id import format_mpi_id
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import ConcurrentChange, Conflict
from mpi.stores.numbering import event_id
from mpi.stores.plan_stewardship import Asserting, TaskWork
from mpi.stores.rows import Head, PersonRow, RecordRow, Rows, VersionPlan

_ARRIVALS = frozenset({EventKind.CREATED, EventKind.LINKED})


@dataclass(slots=True)
class Plan:
    """The change as far as it is worked out; ``before`` holds the records as they were."""

    change: IdentityChange
    head: Head
    rows: Rows
    minted: str | None = None
    persons: dict[str, PersonRow] = field(default_factory=dict)
    records: dict[RecordKey, RecordRow] = field(default_factory=dict)
    before: dict[RecordKey, RecordRow] = field(default_factory=dict)
    moves: list[RecordMove] = field(default_factory=list)
    retired: list[tuple[str, str | None]] = field(default_factory=list)
    version: VersionPlan | None = None
    asserting: Asserting = field(init=False)
    tasks: TaskWork = field(init=False)

    def __post_init__(self) -> None:
        self.asserting = Asserting(self.rows, self.number)
        self.tasks = TaskWork(self.rows, self.number, self.candidate)

    @property
    def seq(self) -> int:
        """The number of the event that the change becomes."""
        return self.head.position + 1

    def resolve(self, mpi_id: str) -> str:
        """``NEW_PERSON`` becomes the id that is minted for it."""
        if mpi_id != NEW_PERSON:
            return mpi_id
        if self.minted is None:
            number = self.head.minted + 1
            self.minted = format_mpi_id(number)
            self.persons[self.minted] = PersonRow(
                number, self.minted, 0, active=True, was_active=False, merged_into=None
            )
        return self.minted

    def person(self, mpi_id: str) -> PersonRow:
        """A person that the change touches."""
        known = self.persons.get(mpi_id)
        if known is not None:
            return known
        row = self.rows.person(mpi_id)
        if row is None:
            raise Conflict("the change names a person that was never minted")
        self.persons[mpi_id] = row
        return row

    def record(self, key: RecordKey) -> RecordRow:
        """A record that the change touches. One never seen gets a number if the change registers it."""
        known = self.records.get(key)
        if known is not None:
            return known
        row = self.rows.record(key)
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

    def candidate(self, mpi_id: str) -> tuple[str, int]:
        """A person that a task names, which does not touch it: its id and number."""
        mpi_id = self.resolve(mpi_id)
        row = self.persons.get(mpi_id) or self.rows.person(mpi_id)
        if row is None:
            raise Conflict("a task names a person that was never minted")
        return mpi_id, row.number

    def event(self) -> Event:
        """What history says of the change."""
        change = self.change
        return Event(
            seq=self.seq,
            event_id=event_id(self.seq),
            kind=change.kind,
            at=change.at,
            actor=change.actor,
            reason=change.reason,
            moves=tuple(self.moves),
            retired=tuple(self.retired),
            revived=change.revive,
            persons=tuple(self.persons),
            asserted=change.assertions,
            lifted=change.lift,
            record=None if change.record is None else change.record.key,
            record_version=None if self.version is None else self.version.number,
            undoes=change.undoes,
            detail=change.detail,
        )

    def tally(self) -> dict[str, int]:
        """By how much the counters of the index grow."""
        records = sum(r.is_active for r in self.records.values())
        persons = sum(p.active - p.was_active for p in self.persons.values())
        minted = int(self.minted is not None)
        return {
            "minted": minted,
            "records": records - sum(r.is_active for r in self.before.values()),
            "persons": persons,
            "retired": minted - persons,
            "tasks_open": self.tasks.grown,
            "assertions": self.asserting.grown,
        }

    def subject(self) -> str | None:
        """The minted person, else the one that holds the record of the change, else the first touched."""
        if self.minted is not None:
            return self.minted
        if self.change.record is not None:
            holder = self.records[self.change.record.key].person
            if holder is not None:
                return holder
        targets = [move.target for move in self.moves if move.target is not None]
        return next(iter([*targets, *self.persons]), None)


def named_persons(change: IdentityChange) -> set[str]:
    """The persons that the change names; an event that touched one of them since it was read forbids it."""
    named = {move.origin for move in change.moves} | {move.target for move in change.moves}
    for pair in change.retire:
        named.update(pair)
    named.update(change.revive)
    named.update(name for name, _ in change.expected_versions)
    return {mpi_id for mpi_id in named if mpi_id is not None and mpi_id != NEW_PERSON}


def named_records(change: IdentityChange) -> set[RecordKey]:
    """The records that the change names."""
    keys = {move.key for move in change.moves} | {task.record for task in change.tasks}
    for assertion in (*change.assertions, *change.lift):
        keys.update((assertion.left, assertion.right))
    return keys if change.record is None else keys | {change.record.key}


def newcomers(changes: Sequence[IdentityChange]) -> set[RecordKey]:
    """Records that their change takes for never seen, unless another of the changes names them as well."""
    named = Counter(chain.from_iterable(map(named_records, changes)))
    born = {c.record.key for c in changes if c.record is not None and c.kind in _ARRIVALS}
    return {key for key in born if named[key] == 1}


def make_plan(change: IdentityChange, head: Head, rows: Rows) -> Plan:
    """Work the change out and check it. See :meth:`mpi.ports.IdentityStore.commit` for the errors."""
    plan = Plan(change, head, rows)
    _plan_persons(plan)
    _plan_moves(plan)
    _plan_record(plan)
    for assertion in (*change.assertions, *change.lift):
        plan.record(assertion.left)
        plan.record(assertion.right)
    for task in change.tasks:
        plan.record(task.record)
    _check_records(plan)
    plan.asserting.apply(change.assertions, change.lift)
    plan.tasks.apply(change.tasks, change.task_updates)
    _check_holdings(plan)
    return plan


def _plan_persons(plan: Plan) -> None:
    for mpi_id in plan.change.revive:
        person = plan.person(mpi_id)
        if person.active:
            raise ConcurrentChange(f"{mpi_id} is active already")
        person.active, person.merged_into = True, None
    for mpi_id, survivor in plan.change.retire:
        person = plan.person(mpi_id)
        if not person.active:
            raise ConcurrentChange(f"{mpi_id} was retired meanwhile")
        person.active = False
        person.merged_into = None if survivor is None else plan.resolve(survivor)
        plan.retired.append((mpi_id, person.merged_into))
    for _, survivor in plan.retired:
        if survivor is not None:
            _check_active(plan, survivor)


def _plan_moves(plan: Plan) -> None:
    if len({move.key for move in plan.change.moves}) < len(plan.change.moves):
        raise Conflict("the change moves one record twice")
    for move in plan.change.moves:
        record = plan.record(move.key)
        if record.person != move.origin:
            raise ConcurrentChange("a record has changed hands meanwhile")
        record.person = None if move.target is None else plan.resolve(move.target)
        if record.person is not None:
            _check_active(plan, record.person)
        plan.moves.append(RecordMove(move.key, move.origin, record.person))


def _check_active(plan: Plan, mpi_id: str) -> None:
    if not plan.person(mpi_id).active:
        raise ConcurrentChange(f"{mpi_id} was retired meanwhile")


def _plan_record(plan: Plan) -> None:
    content = plan.change.record
    if content is None:
        return
    record = plan.record(content.key)
    if content.status is RecordStatus.DELETED and record.status is RecordStatus.DELETED:
        raise ConcurrentChange("the record was deleted meanwhile")
    if content.status is not RecordStatus.ACTIVE and record.status is None:
        raise Conflict("the first version of a record has to be an active one")
    plan.version = _plan_version(plan.rows, record, content.status, content.digest)
    if content.status in {RecordStatus.ACTIVE, RecordStatus.DELETED}:
        record.version, record.status = plan.version.number, content.status


def _plan_version(
    rows: Rows, record: RecordRow, status: RecordStatus, digest: bytes
) -> VersionPlan:
    """Number the version. Content that is pending since the last deletion is not stored as pending or history again:
    repeated, it stays pending; as HISTORY it was rejected; as ACTIVE it was accepted and gets a new version.
    """
    if record.version == 0:
        return VersionPlan(1, is_new=True, settles=None)
    last, pending = rows.versions(record.number, digest)
    if pending is None:
        return VersionPlan(last + 1, is_new=True, settles=None)
    if status is RecordStatus.PENDING:
        return VersionPlan(pending, is_new=False, settles=None)
    if status is RecordStatus.HISTORY:
        return VersionPlan(pending, is_new=False, settles=pending)
    return VersionPlan(last + 1, is_new=True, settles=pending)


def _check_records(plan: Plan) -> None:
    for record in plan.records.values():
        if record.is_active != (record.person is not None):
            raise Conflict("an active record belongs to one person, a deleted one to none")


def _check_holdings(plan: Plan) -> None:
    """Active persons hold a record, retired ones none, and nobody two that are not the same."""
    for person in plan.persons.values():
        holds = any(r.person == person.mpi_id for r in plan.records.values()) or bool(
            _holding(plan, person)
        )
        if person.active and not holds:
            raise Conflict(f"{person.mpi_id} would be left without a record; retire it")
        if holds and not person.active:
            raise Conflict(f"{person.mpi_id} cannot retire while it holds records")
        if plan.head.assertions or plan.change.assertions:
            _check_not_same(plan, _holding(plan, person))


def _holding(plan: Plan, person: PersonRow) -> Collection[int]:
    """The records that the person will hold."""
    touched = plan.records.values()
    earlier = plan.rows.held(person.number) if person.version else ()
    return (set(earlier) - {r.number for r in touched}) | {
        r.number for r in touched if r.person == person.mpi_id
    }


def _check_not_same(plan: Plan, records: Collection[int]) -> None:
    for row in plan.asserting.in_force(records):
        if row.kind is AssertionKind.NOT_SAME and row.left in records and row.right in records:
            raise Conflict("two records asserted not to be the same would share one person")
