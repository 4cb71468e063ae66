"""What a decided task settled beside who is who, and how that is unsettled: a version, the task itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from mpi.domain.identity import (
    KEPT_AS,
    Event,
    EventKind,
    IdentityChange,
    StoredRecord,
    Task,
    TaskStatus,
    TaskUpdate,
)
from mpi.domain.record import RecordStatus
from mpi.errors import Conflict
from mpi.matching.blocking import stored_keys
from mpi.ports import IndexStore
from mpi.service.past import current_version

DELETED = "deleted"
"""The outcome of a task whose record its source has deleted."""

_ALL = 1_000_000

_UNSETTLED = {
    RecordStatus.HISTORY: RecordStatus.PENDING,
    RecordStatus.PENDING: RecordStatus.HISTORY,
}
"""What becomes of a version that was rejected, or waits, when that is undone."""


async def content_before(
    store: IndexStore, event: Event, actor: str, now: datetime
) -> tuple[StoredRecord | None, tuple[IdentityChange, ...], dict[str, Any]]:
    """The version that a decided overlay replaced or settled, and the change that lets the overlay wait again."""
    if event.record is None or event.kind not in (EventKind.TASK_DECIDED, EventKind.UNDONE):
        return None, (), {}
    current = await store.record(event.record)
    versions = {v.version: v for v in await store.versions(event.record)}
    made = versions[event.record_version or 0]
    if KEPT_AS in event.detail:
        status = _UNSETTLED[RecordStatus(event.detail[KEPT_AS])]
        return replace(made, status=status, received_at=now), (), {KEPT_AS: status.value}
    if current is None or current.version != event.record_version:
        raise Conflict("a newer version of the record came since")
    earlier = [e for e in await store.record_events(event.record) if e.seq < event.seq]
    before = versions[current_version(earlier, event.record) or 0]
    content = replace(
        before,
        status=RecordStatus.ACTIVE,
        blocking_keys=stored_keys(before.standard),
        received_at=now,
    )
    if event.kind is EventKind.UNDONE:
        return content, (), {}
    waiting = IdentityChange(
        kind=EventKind.UPDATED,
        at=now,
        actor=actor,
        record=replace(made, status=RecordStatus.PENDING, received_at=now),
        detail={KEPT_AS: RecordStatus.PENDING.value},
    )
    return content, (waiting,), {}


async def task_before(
    store: IndexStore, event: Event
) -> tuple[tuple[TaskUpdate, ...], dict[str, Any]]:
    """The task that the decision settled is open again; with an undo undone, settled again."""
    task = await store.task(event.detail.get("task_id", ""))
    if task is None:
        return (), {}
    outcome = None
    if event.kind is EventKind.UNDONE and event.undoes is not None:
        outcome = await _outcome_of(store, event.undoes)
    details = {"task_id": task.task_id, "outcome": outcome}
    if (task.status is TaskStatus.DECIDED) is (outcome is not None):
        return (), details
    if outcome is None and await _asked_again(store, task):
        return (), details
    status = TaskStatus.OPEN if outcome is None else TaskStatus.DECIDED
    return (TaskUpdate(task.task_id, status, outcome=outcome),), details


async def withdrawn(store: IndexStore, record: StoredRecord) -> tuple[TaskUpdate, ...]:
    """The undecided tasks of a record that is deleted end with it: nobody could decide them any more."""
    tasks = await store.tasks(None, mpi_id=record.mpi_id, limit=_ALL)
    return tuple(
        TaskUpdate(task.task_id, TaskStatus.DECIDED, outcome=DELETED)
        for task in tasks
        if task.record == record.key and task.status is not TaskStatus.DECIDED
    )


async def _asked_again(store: IndexStore, task: Task) -> bool:
    """Whether an undecided task asks the same by now."""
    record = await store.record(task.record)
    tasks = await store.tasks(None, mpi_id=record.mpi_id if record else "")
    return any(
        (t.kind, t.record) == (task.kind, task.record) and t.status is not TaskStatus.DECIDED
        for t in tasks
    )


async def _outcome_of(store: IndexStore, event_id: str) -> str | None:
    event = await store.event(event_id)
    return None if event is None else event.detail.get("outcome")
