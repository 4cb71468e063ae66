"""What a decided task settled beside who is who, and how that is unsettled: a version, the task itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from typing import Any

from mpi.domain.identity import (
    AUTOMATIC,
    KEPT_AS,
    Event,
    EventKind,
    IdentityChange,
    NewTask,
    StoredRecord,
    Task,
    TaskKind,
    TaskStatus,
    TaskUpdate,
)
from mpi.domain.record import RecordStatus
from mpi.domain.versions import since_deletion, waiting_version
from mpi.errors import Conflict
from mpi.matching.blocking import stored_keys
from mpi.ports import IndexStore
from mpi.service.history import current_version
from mpi.service.lookup import end_of_aliases

DELETED = "deleted"
"""The outcome of a task whose record its source has deleted."""

ALSO_SETTLED = "also_settled"
"""The detail of a merge: tasks beside the one decided, if any, that asked whether these two persons are one."""

SUPERSEDED = "superseded"
"""The outcome of a task whose question a later version of the record made another one."""


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
    stored = await store.versions(event.record)
    versions = {v.version: v for v in stored}
    made = versions[event.record_version or 0]
    if KEPT_AS in event.detail:
        if made not in since_deletion(stored):
            raise Conflict("the record was deleted since")
        status = _UNSETTLED[RecordStatus(event.detail[KEPT_AS])]
        if status is RecordStatus.PENDING:
            _check_place(stored)
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
    _check_place(stored)
    waiting = IdentityChange(
        kind=EventKind.UPDATED,
        at=now,
        actor=actor,
        record=replace(made, status=RecordStatus.PENDING, received_at=now),
        detail={KEPT_AS: RecordStatus.PENDING.value},
    )
    return content, (waiting,), {}


def _check_place(versions: Sequence[StoredRecord]) -> None:
    """One version at most waits."""
    if waiting_version(versions) is not None:
        raise Conflict(
            "a later version of the record waits in its place; decide about that one first"
        )


async def tasks_before(
    store: IndexStore, event: Event
) -> tuple[tuple[TaskUpdate, ...], dict[str, Any]]:
    """The tasks that the decision settled are open again; with an undo undone, settled again."""
    names = (event.detail.get("task_id"), *event.detail.get(ALSO_SETTLED, ()))
    tasks = [t for t in [await store.task(name or "") for name in names] if t is not None]
    if not tasks:
        return (), {}
    outcome = None
    if event.kind is EventKind.UNDONE and event.undoes is not None:
        outcome = await _outcome_of(store, event.undoes)
    known = ("task_id", ALSO_SETTLED)
    details = {k: event.detail[k] for k in known if k in event.detail} | {"outcome": outcome}
    changed = [t for t in tasks if (t.status is TaskStatus.DECIDED) is not (outcome is not None)]
    if outcome is None:
        changed = [t for t in changed if not await _asked_again(store, t)]
    status = TaskStatus.OPEN if outcome is None else TaskStatus.DECIDED
    return tuple(TaskUpdate(t.task_id, status, outcome=outcome) for t in changed), details


async def with_answered(
    store: IndexStore, change: IdentityChange, known: Iterable[TaskUpdate] = ()
) -> IdentityChange:
    """The change, which also settles the tasks that it answers, unless they are ``known`` to be settled beside it.

    These are undecided tasks that only ask whether two persons are one, when the change retires one into the other:
    whose a version is that waits remains to be told. What nobody decided settles no task that somebody works on.
    """
    settled = {update.task_id for update in (*change.task_updates, *known)}
    is_automatic = AUTOMATIC in change.detail
    also = [
        task.task_id
        for gone, kept in change.retire
        for task in (await store.undecided(gone) if kept else ())
        if (task.status is TaskStatus.OPEN or not is_automatic) and task.task_id not in settled
        if task.kind is not TaskKind.OVERLAY
        if await _parties(store, task) == {gone, kept}
    ]
    if not also:
        return change
    updates = (TaskUpdate(name, TaskStatus.DECIDED, change.actor, "same") for name in also)
    return replace(
        change,
        task_updates=(*change.task_updates, *updates),
        detail={"outcome": "same", ALSO_SETTLED: also} | change.detail,
    )


async def _parties(store: IndexStore, task: Task) -> set[str | None]:
    """The persons that a task is about, as they are called now."""
    record = await store.record(task.record)
    parties: set[str | None] = {record.mpi_id if record else None}
    for mpi_id in task.candidates:
        person = await end_of_aliases(store, mpi_id)
        parties.add(person.mpi_id if person and person.active else None)
    return parties


async def withdrawn(store: IndexStore, record: StoredRecord) -> tuple[TaskUpdate, ...]:
    """The undecided tasks of a record that is deleted end with it: nobody could decide them any more."""
    return tuple(
        TaskUpdate(task.task_id, TaskStatus.DECIDED, outcome=DELETED)
        for task in await undecided_about(store, record)
    )


async def undecided_about(store: IndexStore, record: StoredRecord) -> list[Task]:
    """The tasks about a record that wait for a decision, the oldest first."""
    if record.mpi_id is None:
        return []
    return [task for task in await store.undecided(record.mpi_id) if task.record == record.key]


async def superseded(
    store: IndexStore,
    current: StoredRecord,
    asked: Sequence[NewTask],
    actor: str,
    now: datetime,
    waited: Sequence[StoredRecord] = (),
) -> tuple[IdentityChange, ...]:
    """The changes that end what was asked about a record, when a version comes about which something else is asked.

    A steward who still looks at the earlier question could answer it about content, or candidates, never seen. The
    versions that ``waited`` are history then, when another comes to wait: the latest is what the source says.
    """
    if not asked:
        return ()
    candidates = {task.kind: task.candidates for task in asked}
    overlaid = TaskKind.OVERLAY in candidates
    ended = [
        task
        for task in await undecided_about(store, current)
        if task.kind in candidates and (overlaid or task.candidates != candidates[task.kind])
    ]
    return tuple(_ended(task, version, actor, now) for task, version in zip_longest(ended, waited))


def _ended(
    task: Task | None, version: StoredRecord | None, actor: str, now: datetime
) -> IdentityChange:
    detail: dict[str, Any] = {AUTOMATIC: True}
    updates: tuple[TaskUpdate, ...] = ()
    if task is not None:
        detail |= {"task_id": task.task_id, "outcome": SUPERSEDED}
        updates = (TaskUpdate(task.task_id, TaskStatus.DECIDED, outcome=SUPERSEDED),)
    if version is not None:
        detail |= {KEPT_AS: RecordStatus.HISTORY.value}
        version = replace(version, status=RecordStatus.HISTORY, received_at=now)
    return IdentityChange(
        kind=EventKind.UPDATED if task is None else EventKind.TASK_DECIDED,
        at=now,
        actor=actor,
        record=version,
        task_updates=updates,
        detail=detail,
    )


async def _asked_again(store: IndexStore, task: Task) -> bool:
    """Whether an undecided task asks the same by now."""
    record = await store.record(task.record)
    if record is None or record.mpi_id is None:
        return False  # what was asked about it ended with its deletion
    return any(each.kind is task.kind for each in await undecided_about(store, record))


async def _outcome_of(store: IndexStore, event_id: str) -> str | None:
    event = await store.event(event_id)
    return None if event is None else event.detail.get("outcome")
