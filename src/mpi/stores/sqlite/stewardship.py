"""Assertions and tasks, as a commit writes them."""

from __future__ import annotations

import sqlite3

import orjson

from mpi.domain.identity import TaskStatus, TaskUpdate
from mpi.stores.codec import encode_time
from mpi.stores.plan_stewardship import Asserting, OpenedTask, TaskWork


def write_assertions(connection: sqlite3.Connection, asserting: Asserting, seq: int) -> None:
    """Lift some, make others."""
    for row in asserting.lifted:
        connection.execute("UPDATE assertion SET lifted_seq = ? WHERE id = ?", (seq, row.number))
    for assertion, row in asserting.made:
        connection.execute(
            """INSERT INTO assertion (kind, left_record, right_record, actor, reason, at, seq)
            VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                row.kind.value,
                row.left,
                row.right,
                assertion.actor,
                assertion.reason,
                encode_time(assertion.at),
                seq,
            ),
        )


def number_tasks_after(connection: sqlite3.Connection, last: int) -> None:
    """The next task gets a number beyond ``last``, though there may be none of that number."""
    connection.execute("""INSERT INTO sqlite_sequence (name, seq) SELECT 'task', 0
        WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'task')""")
    connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'task'", (last,))


def write_tasks(connection: sqlite3.Connection, tasks: TaskWork, at: int, seq: int) -> None:
    """Open some, change others."""
    for task in tasks.opened:
        _open(connection, task, at, seq)
    for number, update in tasks.updated:
        _update(connection, number, update, at)


def _open(connection: sqlite3.Connection, task: OpenedTask, at: int, seq: int) -> None:
    asked = task.asked
    connection.execute(
        """INSERT INTO task (id, version, kind, status, record, candidates, weight, reason, opened_at, seq)
        VALUES (?, 1, ?, 'open', ?, ?, ?, ?, ?, ?)""",
        (
            task.number,
            asked.kind.value,
            task.record,
            orjson.dumps(task.candidates),
            asked.weight,
            asked.reason,
            at,
            seq,
        ),
    )
    named = [(person, task.number) for person in task.persons]
    connection.executemany("INSERT INTO task_person VALUES (?, ?)", named)


def _update(connection: sqlite3.Connection, number: int, update: TaskUpdate, at: int) -> None:
    keep = update.status is not TaskStatus.OPEN
    connection.execute(
        """UPDATE task SET version = version + 1, status = ?, outcome = ?, decided_at = ?,
        deferred_until = ?, assignee = CASE WHEN ? THEN coalesce(?, assignee) ELSE ? END WHERE id = ?""",
        (
            update.status.value,
            update.outcome,
            at if update.status is TaskStatus.DECIDED else None,
            None if update.deferred_until is None else encode_time(update.deferred_until),
            keep,
            update.assignee,
            update.assignee,
            number,
        ),
    )
