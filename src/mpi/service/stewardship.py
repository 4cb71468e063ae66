"""The review queue: tasks that stewards claim and decide."""

from __future__ import annotations

from dataclasses import replace

from mpi.domain.identity import (
    NEW_PERSON,
    EventKind,
    RecordMove,
    StoredRecord,
    Task,
    TaskKind,
    TaskStatus,
    TaskUpdate,
)
from mpi.domain.record import RecordStatus
from mpi.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from mpi.matching.blocking import stored_keys
from mpi.service.answers import ChangeAnswer
from mpi.service.decisions import HumanDecisions


class Stewardship(HumanDecisions):
    """Human decisions, and the queue of questions that lead to them."""

    async def tasks(
        self, status: TaskStatus | None, after: str | None, limit: int
    ) -> tuple[Task, ...]:
        """The review queue, oldest first."""
        return await self._store.tasks(status, after, limit)

    async def task(self, task_id: str) -> Task:
        """One task. Raises ``NotFound``."""
        found = await self._store.task(task_id)
        if found is None:
            raise NotFound("no task has this id")
        return found

    async def claim(self, task_id: str, *, actor: str, if_match: int | None = None) -> Task:
        """Take a task for oneself. Raises ``Conflict`` when somebody else holds it or it is decided."""
        task = await self._undecided(task_id)
        if task.status is TaskStatus.CLAIMED and task.assignee != actor:
            raise Conflict("somebody else claimed the task")
        update = TaskUpdate(task_id, TaskStatus.CLAIMED, assignee=actor)
        version = task.version if if_match is None else if_match
        await self._commit(
            EventKind.TASK_CLAIMED,
            actor,
            None,
            task_updates=(update,),
            expected_versions=((task_id, version),),
        )
        return await self.task(task_id)

    async def decide(
        self,
        task_id: str,
        outcome: str,
        *,
        actor: str,
        reason: str,
        mpi_id: str | None = None,
        if_match: int | None = None,
    ) -> ChangeAnswer:
        """Settle a task: ``same``, ``not-same``, ``new``; for an overlay ``accept``, ``new`` or ``reject``."""
        task = await self._undecided(task_id)
        if if_match is not None and task.version != if_match:
            raise PreconditionFailed("the task has another version than If-Match names")
        update = (TaskUpdate(task_id, TaskStatus.DECIDED, assignee=actor, outcome=outcome),)
        if task.kind is TaskKind.OVERLAY:
            return await self._decide_overlay(task, outcome, actor, reason, update)
        if outcome == "new":
            return await self.move(
                task.record, NEW_PERSON, reason=reason, actor=actor, tasks=update
            )
        if outcome not in ("same", "not-same"):
            raise InvalidInput("the outcome of this task is same, not-same or new")
        record = await self._record(task.record)
        others = [c for c in task.candidates if c != record.mpi_id]
        candidate = mpi_id or (others[0] if len(others) == 1 else None)
        if candidate is None and task.kind is TaskKind.UPDATE:
            return await self._decide_update(record, outcome, actor, reason, update)
        if candidate is None:
            raise InvalidInput("name one of the task's candidates in mpi_id")
        other = await self._active(candidate)
        if outcome == "same" and other.mpi_id == record.mpi_id:
            return await self._commit(EventKind.TASK_DECIDED, actor, reason, task_updates=update)
        if outcome == "same":
            kept, gone = sorted((record.mpi_id or "", other.mpi_id))
            return await self.merge(kept, gone, reason=reason, actor=actor, tasks=update)
        return await self.assert_pair(
            "not-same", other.records[0].key, task.record, reason=reason, actor=actor, tasks=update
        )

    async def _decide_update(
        self,
        record: StoredRecord,
        outcome: str,
        actor: str,
        reason: str,
        update: tuple[TaskUpdate, ...],
    ) -> ChangeAnswer:
        """A version that no longer fits its person stays (``same``) or leaves it (``not-same``)."""
        person = await self._active(record.mpi_id or "")
        company = [other.key for other in person.records if other.key != record.key]
        if outcome == "same" or not company:
            return await self._commit(EventKind.TASK_DECIDED, actor, reason, task_updates=update)
        return await self.assert_pair(
            "not-same", company[0], record.key, reason=reason, actor=actor, tasks=update
        )

    async def _decide_overlay(
        self, task: Task, outcome: str, actor: str, reason: str, update: tuple[TaskUpdate, ...]
    ) -> ChangeAnswer:
        """The pending version becomes the current one (``accept``, ``new``: as another person) or history."""
        versions = await self._store.versions(task.record)
        pending = next((v for v in reversed(versions) if v.status is RecordStatus.PENDING), None)
        if pending is None:
            raise Conflict("the pending version is settled already")
        if outcome not in ("accept", "new", "reject"):
            raise InvalidInput("the outcome of an overlay is accept, new or reject")
        # A pending version is kept without keys, for nobody may find it yet.
        settled = (
            replace(pending, status=RecordStatus.HISTORY)
            if outcome == "reject"
            else replace(
                pending,
                status=RecordStatus.ACTIVE,
                blocking_keys=stored_keys(pending.standard),
            )
        )
        current = await self._record(task.record)
        moves: tuple[RecordMove, ...] = ()
        retire: tuple[tuple[str, str | None], ...] = ()
        if outcome == "new":
            person = await self._active(current.mpi_id or "")
            moves = (RecordMove(task.record, person.mpi_id, NEW_PERSON),)
            retire = () if len(person.records) > 1 else ((person.mpi_id, None),)
        return await self._commit(
            EventKind.TASK_DECIDED,
            actor,
            reason,
            record=replace(settled, received_at=self._clock()),
            moves=moves,
            retire=retire,
            task_updates=update,
        )

    async def _undecided(self, task_id: str) -> Task:
        task = await self.task(task_id)
        if task.status is TaskStatus.DECIDED:
            raise Conflict("the task is decided already", outcome=task.outcome)
        return task
