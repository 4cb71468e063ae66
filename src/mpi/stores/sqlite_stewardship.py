"""Assertions and tasks, as a commit writes them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

import orjson

from mpi.domain.identity import Assertion, NewTask, TaskStatus, TaskUpdate
from mpi.domain.record import RecordKey
from mpi.errors import ConcurrentChange, Conflict, NotFound
from mpi.stores.codec import encode_time
from mpi.stores.numbering import task_id, task_number

_PAIR = """SELECT id, kind FROM assertion WHERE lifted_seq IS NULL
    AND left_record IN (:left, :right) AND right_record IN (:left, :right)"""


def apply_assertions(
    connection: sqlite3.Connection,
    asserted: Iterable[Assertion],
    lifted: Iterable[Assertion],
    number: Callable[[RecordKey], int],
    seq: int,
) -> int:
    """Lift, then assert; returns by how many the assertions in force have grown."""
    grown = 0
    for assertion in lifted:
        pair = {"left": number(assertion.left), "right": number(assertion.right)}
        ids = [i for i, kind in connection.execute(_PAIR, pair) if kind == assertion.kind.value]
        if not ids:
            raise ConcurrentChange("the assertion was lifted meanwhile")
        connection.execute("UPDATE assertion SET lifted_seq = ? WHERE id = ?", (seq, ids[0]))
        grown -= 1
    for assertion in asserted:
        grown += _assert(connection, assertion, number, seq)
    return grown


def _assert(
    connection: sqlite3.Connection,
    assertion: Assertion,
    number: Callable[[RecordKey], int],
    seq: int,
) -> int:
    left, right = number(assertion.left), number(assertion.right)
    if left == right:
        raise Conflict("an assertion needs two different records")
    known = {kind for _, kind in connection.execute(_PAIR, {"left": left, "right": right})}
    if known - {assertion.kind.value}:
        raise Conflict("the opposite is asserted of these two records; lift that first")
    if known:
        return 0
    connection.execute(
        """INSERT INTO assertion (kind, left_record, right_record, actor, reason, at, seq)
        VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (
            assertion.kind.value,
            left,
            right,
            assertion.actor,
            assertion.reason,
            encode_time(assertion.at),
            seq,
        ),
    )
    return 1


def check_not_same(connection: sqlite3.Connection, person: int) -> None:
    """Raise ``Conflict`` when the person holds two records asserted not to be the same."""
    if connection.execute(
        """SELECT 1 FROM record r
        CROSS JOIN assertion a ON a.left_record = r.id AND a.lifted_seq IS NULL
        CROSS JOIN record o ON o.id = a.right_record
        WHERE r.person = :person AND o.person = :person AND a.kind = 'not-same' LIMIT 1""",
        {"person": person},
    ).fetchone():
        raise Conflict("two records asserted not to be the same would share one person")


def open_tasks(
    connection: sqlite3.Connection,
    tasks: Iterable[NewTask],
    record: Callable[[RecordKey], int],
    resolve: Callable[[str], str],
    at: int,
    seq: int,
) -> tuple[tuple[str, ...], int]:
    """Open tasks, or find the open ones that ask the same; returns their ids and how many are new."""
    ids: list[str] = []
    opened = 0
    for task in tasks:
        row = connection.execute(
            "SELECT id FROM task WHERE record = ? AND kind = ? AND status <> 'decided'",
            (record(task.record), task.kind.value),
        ).fetchone()
        if row is None:
            candidates = tuple(map(resolve, task.candidates))
            ids.append(task_id(_insert(connection, task, record(task.record), candidates, at, seq)))
            opened += 1
        else:
            ids.append(task_id(row[0]))
    return tuple(ids), opened


def _insert(
    connection: sqlite3.Connection,
    task: NewTask,
    record: int,
    candidates: tuple[str, ...],
    at: int,
    seq: int,
) -> int:
    cursor = connection.execute(
        """INSERT INTO task (version, kind, status, record, candidates, weight, reason, opened_at, seq)
        VALUES (1, ?, 'open', ?, ?, ?, ?, ?, ?)""",
        (task.kind.value, record, orjson.dumps(candidates), task.weight, task.reason, at, seq),
    )
    number = int(cursor.lastrowid or 0)
    linked = connection.execute(
        """INSERT INTO task_person
        SELECT DISTINCT p.id, ? FROM json_each(?) j CROSS JOIN person p ON p.mpi_id = j.value""",
        (number, orjson.dumps(candidates).decode()),
    ).rowcount
    if linked < len(set(candidates)):
        raise Conflict("a task names a person that was never minted")
    return number


def update_tasks(connection: sqlite3.Connection, updates: Iterable[TaskUpdate], at: int) -> int:
    """Change tasks; returns by how many the open ones have grown (negative: decided).

    A decided task can only be opened again; whoever decides second gets ``ConcurrentChange``.
    """
    grown = 0
    for update in updates:
        number = task_number(update.task_id)
        row = connection.execute("SELECT status FROM task WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise NotFound("no task of this id")
        was_decided = row[0] == TaskStatus.DECIDED.value
        is_decided = update.status is TaskStatus.DECIDED
        if was_decided and update.status is not TaskStatus.OPEN:
            raise ConcurrentChange(f"{update.task_id} was decided meanwhile")
        grown += was_decided - is_decided
        keep = update.status is not TaskStatus.OPEN
        connection.execute(
            """UPDATE task SET version = version + 1, status = ?, outcome = ?, decided_at = ?,
            deferred_until = ?, assignee = CASE WHEN ? THEN coalesce(?, assignee) ELSE ? END WHERE id = ?""",
            (
                update.status.value,
                update.outcome,
                at if is_decided else None,
                None if update.deferred_until is None else encode_time(update.deferred_until),
                keep,
                update.assignee,
                update.assignee,
                number,
            ),
        )
    return grown
