"""Assertions and tasks of a change, worked out in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from mpi.domain.identity import Assertion, NewTask, TaskStatus, TaskUpdate
from mpi.domain.record import RecordKey
from mpi.errors import ConcurrentChange, Conflict, NotFound
from mpi.stores.numbering import task_id, task_number
from mpi.stores.rows import AssertionRow, Rows

Known = Mapping[frozenset[int], list[AssertionRow]]
"""What is in force, by the two records that it is about."""

_UNNUMBERED = 0
"""The number of an assertion that the store has not written yet."""


@dataclass(slots=True)
class Asserting:
    """What the change asserts and lifts: values to write, with the numbers of their records, and rows to lift."""

    rows: Rows
    number: Callable[[RecordKey], int]
    made: list[tuple[Assertion, AssertionRow]] = field(default_factory=list)
    lifted: set[AssertionRow] = field(default_factory=set)

    @property
    def grown(self) -> int:
        """By how many the assertions in force grow."""
        return len(self.made) - len(self.lifted)

    def apply(self, asserted: Iterable[Assertion], lifted: Iterable[Assertion]) -> None:
        """Lift, then assert. What is known of all the records is read at once: of large persons these are many."""
        asserted, lifted = tuple(asserted), tuple(lifted)
        named = {self.number(k) for a in (*asserted, *lifted) for k in (a.left, a.right)}
        known: dict[frozenset[int], list[AssertionRow]] = defaultdict(list)
        for row in self.rows.asserted(named) if named else ():
            known[row.sides].append(row)
        for assertion in lifted:
            self._lift(assertion, known)
        for assertion in asserted:
            self._assert(assertion, known)

    def _lift(self, assertion: Assertion, known: Known) -> None:
        about = known[frozenset((self.number(assertion.left), self.number(assertion.right)))]
        found = next((row for row in about if row.kind is assertion.kind), None)
        if found is None:
            raise ConcurrentChange("the assertion was lifted meanwhile")
        about.remove(found)
        self.lifted.add(found)

    def _assert(self, assertion: Assertion, known: Known) -> None:
        left, right = self.number(assertion.left), self.number(assertion.right)
        if left == right:
            raise Conflict("an assertion needs two different records")
        row = AssertionRow(_UNNUMBERED, assertion.kind, left, right)
        kinds = {other.kind for other in known[row.sides]}
        if kinds - {assertion.kind}:
            raise Conflict("the opposite is asserted of these two records; lift that first")
        if not kinds:
            known[row.sides].append(row)
            self.made.append((assertion, row))

    def in_force(self, records: Collection[int]) -> list[AssertionRow]:
        """The assertions in force after the change that name any of the records."""
        earlier = [row for row in self.rows.asserted(records) if row not in self.lifted]
        return earlier + [
            row for _, row in self.made if row.left in records or row.right in records
        ]


@dataclass(frozen=True, slots=True)
class OpenedTask:
    """A task to write; its record and candidates as numbers too."""

    number: int
    asked: NewTask
    record: int
    candidates: tuple[str, ...]
    persons: frozenset[int]


@dataclass(slots=True)
class TaskWork:
    """What the change does to tasks. ``ids`` are those asked for, in order, new or open before."""

    rows: Rows
    record: Callable[[RecordKey], int]
    candidate: Callable[[str], tuple[str, int]]
    ids: list[str] = field(default_factory=list)
    opened: list[OpenedTask] = field(default_factory=list)
    updated: list[tuple[int, TaskUpdate]] = field(default_factory=list)
    grown: int = 0

    def apply(self, tasks: Iterable[NewTask], updates: Iterable[TaskUpdate]) -> None:
        """Open tasks, or find the open ones that ask the same; then change others."""
        for task in tasks:
            record = self.record(task.record)
            number = self._open(record, task)
            if number is None:
                number = self.rows.last_task() + len(self.opened) + 1
                candidates = tuple([self.candidate(mpi_id) for mpi_id in task.candidates])
                names, numbers = tuple([c[0] for c in candidates]), {c[1] for c in candidates}
                self.opened.append(OpenedTask(number, task, record, names, frozenset(numbers)))
                self.grown += 1
            self.ids.append(task_id(number))
        statuses: dict[int, TaskStatus] = {}
        for update in updates:
            self._update(update, statuses)

    def _open(self, record: int, task: NewTask) -> int | None:
        for opened in self.opened:
            if opened.record == record and opened.asked.kind is task.kind:
                return opened.number
        return self.rows.open_task(record, task.kind)

    def _update(self, update: TaskUpdate, statuses: dict[int, TaskStatus]) -> None:
        """A decided task can only be opened again; whoever decides second gets ``ConcurrentChange``."""
        number = task_number(update.task_id)
        status = None if number is None else statuses.get(number) or self.rows.task(number)
        if number is None or status is None:
            raise NotFound("no task of this id")
        was_decided = status is TaskStatus.DECIDED
        if was_decided and update.status is not TaskStatus.OPEN:
            raise ConcurrentChange(f"{update.task_id} was decided meanwhile")
        self.grown += was_decided - (update.status is TaskStatus.DECIDED)
        statuses[number] = update.status
        self.updated.append((number, update))
