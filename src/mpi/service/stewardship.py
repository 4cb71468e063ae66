"""The review queue: tasks that stewards claim, put off, hand over and decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mpi.domain.identity import (
    KEPT_AS,
    NEW_PERSON,
    Assertion,
    EventKind,
    IdentityChange,
    NewTask,
    PersonState,
    RecordMove,
    StoredRecord,
    Task,
    TaskKind,
    TaskStatus,
    TaskUpdate,
)
from mpi.domain.record import RecordStatus
from mpi.domain.versions import waiting_version
from mpi.errors import Conflict, Gone, InvalidInput, MpiError, NotFound
from mpi.matching.blocking import stored_keys
from mpi.service.alignment import LEFT
from mpi.service.answers import ChangeAnswer
from mpi.service.consequences import said_same
from mpi.service.decisions import Retired, Settled, at_once, settled
from mpi.service.lookup import check_version, current_record
from mpi.service.number_replacement import Replacing

_LONGEST_DEFERRAL = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class TaskDecision:
    """One answer of a steward; ``version`` is the task's as the steward has seen it."""

    task_id: str
    outcome: str
    mpi_id: str | None = None
    version: int | None = None


class Stewardship(Replacing):
    """Human decisions, and the queue of questions that lead to them."""

    async def tasks(
        self, status: TaskStatus | None, after: str | None, limit: int
    ) -> tuple[Task, ...]:
        """The review queue, oldest first. Asked for by status, deferred tasks stay out until their time."""
        due = None if status is None else self._clock()
        return await self._store.tasks(status, after, limit, due=due)

    async def task(self, task_id: str) -> Task:
        """One task. Raises ``NotFound``."""
        found = await self._store.task(task_id)
        if found is None:
            raise NotFound("no task has this id")
        return found

    async def ask(self, tasks: Sequence[NewTask], *, actor: str, reason: str) -> tuple[str, ...]:
        """Put questions into the queue; until they are decided nothing changes. Returns their ids."""
        change = IdentityChange(
            kind=EventKind.TASK_OPENED,
            at=self._clock(),
            actor=actor,
            reason=reason,
            tasks=tuple(tasks),
        )
        return (await self._store.commit(change)).task_ids if tasks else ()

    @at_once
    async def claim(self, task_id: str, *, actor: str, if_match: int | None = None) -> Task:
        """Take a task for oneself. Raises ``Conflict`` when somebody else holds it or it is decided."""
        task = await self._free(task_id, actor)
        update = TaskUpdate(task_id, TaskStatus.CLAIMED, assignee=actor)
        return await self._change(task, EventKind.TASK_CLAIMED, actor, None, update, if_match)

    @at_once
    async def defer(
        self,
        task_id: str,
        until: datetime,
        *,
        reason: str,
        actor: str,
        if_match: int | None = None,
    ) -> Task:
        """Put a task off: it leaves the queue until then, and keeps its holder.

        Raises ``InvalidInput`` when that time is past or more than ten years ahead, ``Conflict`` when somebody else
        holds the task or it is decided.
        """
        task = await self._free(task_id, actor)
        now = self._clock()
        if not now < until <= now + _LONGEST_DEFERRAL:
            raise InvalidInput("until must lie in the future, at most ten years ahead")
        update = TaskUpdate(task_id, task.status, task.assignee, deferred_until=until)
        return await self._change(task, EventKind.TASK_DEFERRED, actor, reason, update, if_match)

    @at_once
    async def reassign(
        self,
        task_id: str,
        assignee: str | None,
        *,
        reason: str,
        actor: str,
        if_match: int | None = None,
    ) -> Task:
        """Hand a task to somebody, whoever holds it; to None gives it back to the queue. Ends a deferral."""
        task = await self._undecided(task_id)
        status = TaskStatus.OPEN if assignee is None else TaskStatus.CLAIMED
        update = TaskUpdate(task_id, status, assignee)
        return await self._change(task, EventKind.TASK_REASSIGNED, actor, reason, update, if_match)

    async def decide_all(
        self, decisions: Sequence[TaskDecision], *, actor: str, reason: str, preview: bool = False
    ) -> list[ChangeAnswer | MpiError]:
        """Decide many tasks in order, each by itself; one that cannot be decided leaves the others alone.

        ``preview`` says what each would do after those before it, and changes nothing.
        """
        if preview:
            async with self._rehearsal():
                return [
                    answer if isinstance(answer, MpiError) else await self._as_preview(answer)
                    for answer in [await self._decided(d, actor, reason) for d in decisions]
                ]
        return [await self._decided(d, actor, reason) for d in decisions]

    async def _decided(
        self, decision: TaskDecision, actor: str, reason: str
    ) -> ChangeAnswer | MpiError:
        try:
            return await self.decide(
                decision.task_id,
                decision.outcome,
                actor=actor,
                reason=reason,
                mpi_id=decision.mpi_id,
                if_match=decision.version,
            )
        except MpiError as error:
            if error.status >= 500:
                raise
            return error

    @at_once
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
        """Settle a task: ``same``, ``not-same``, ``new``; for an overlay ``accept``, ``new`` or ``reject``.

        Where the provider refuses what was decided, ``leave`` leaves the difference; any other outcome is told anew.
        Raises ``Conflict`` when somebody else holds the task; ``reassign`` takes it from them.

        ``mpi_id`` names the candidate that is meant; without it *not-same* is said of all of them.
        """
        task = await self._free(task_id, actor)
        check_version(if_match, task.version, "task")
        done = settled(task_id, actor, outcome, if_match)
        if task.kind is TaskKind.PROVIDER and outcome == LEFT:
            return await self._commit(
                IdentityChange(EventKind.TASK_DECIDED, self._clock(), actor, reason), done
            )
        if task.kind is TaskKind.OVERLAY:
            return await self._decide_overlay(task, outcome, actor, reason, done)
        record = await current_record(self._store, task.record)
        if outcome == "new":
            return await self._separate(record, actor, reason, done)
        if outcome not in ("same", "not-same"):
            raise InvalidInput("the outcome of this task is same, not-same or new")
        candidates = await self._candidates(task, mpi_id)
        if outcome == "same":
            return await self._decide_same(task, record, candidates, actor, reason, done)
        others = [c for c in candidates if c.mpi_id != record.mpi_id]
        meant = candidates if mpi_id or task.kind is TaskKind.UNDO else others or candidates
        return await self._keep_apart(record, meant, reason, actor, done)

    async def _candidates(self, task: Task, mpi_id: str | None) -> list[PersonState]:
        """The persons that the task is about, as they stand now: all, or the one that is named."""
        found: dict[str, PersonState] = {}
        for name in task.candidates:
            try:
                person = await self._active(name)
            except Gone:
                continue
            found[person.mpi_id] = person
        if mpi_id is None:
            return list(found.values())
        named = await self._active(mpi_id)
        if named.mpi_id not in found:
            raise InvalidInput("mpi_id must name one of the task's candidates")
        return [named]

    async def _decide_same(
        self,
        task: Task,
        record: StoredRecord,
        candidates: Sequence[PersonState],
        actor: str,
        reason: str,
        done: Settled,
    ) -> ChangeAnswer:
        """The record is the candidate: it stays there or goes there; of two whole persons in doubt, both are one."""
        others = [c for c in candidates if c.mpi_id != record.mpi_id]
        if candidates and not others:
            return await self._commit(
                IdentityChange(EventKind.TASK_DECIDED, self._clock(), actor, reason), done
            )
        if len(others) != 1 or (task.kind is TaskKind.UNDO and len(candidates) > 1):
            raise InvalidInput("name one of the task's candidates in mpi_id")
        other = others[0].mpi_id
        if task.kind in (TaskKind.UNDO, TaskKind.UPDATE):
            return await self.move(task.record, other, reason=reason, actor=actor, task=done)
        kept, gone = sorted((record.mpi_id or "", other))
        return await self.merge(kept, gone, reason=reason, actor=actor, task=done)

    async def _separate(
        self, record: StoredRecord, actor: str, reason: str, done: Settled
    ) -> ChangeAnswer:
        """The record is a person of its own; nothing is said of others than those whom it leaves."""
        person = await self._active(record.mpi_id or "")
        if len(person.records) == 1:
            return await self._commit(
                IdentityChange(EventKind.TASK_DECIDED, self._clock(), actor, reason), done
            )
        return await self.move(record.key, NEW_PERSON, reason=reason, actor=actor, task=done)

    async def _decide_overlay(
        self, task: Task, outcome: str, actor: str, reason: str, done: Settled
    ) -> ChangeAnswer:
        """The pending version becomes the current one (``accept``, ``new``: as another person) or history."""
        pending = waiting_version(await self._store.versions(task.record))
        if pending is None:
            raise Conflict("the pending version is settled already")
        if outcome not in ("accept", "new", "reject"):
            raise InvalidInput("the outcome of an overlay is accept, new or reject")
        if outcome == "reject":
            return await self._settle_version(pending, RecordStatus.HISTORY, actor, reason, done)
        # A pending version is kept without keys, for nobody may find it yet.
        found = replace(pending, blocking_keys=stored_keys(pending.standard))
        current = await current_record(self._store, task.record)
        moves: tuple[RecordMove, ...] = ()
        retire: Retired = ()
        lift: tuple[Assertion, ...] = ()
        if outcome == "new":
            person = await self._active(current.mpi_id or "")
            moves = (RecordMove(task.record, person.mpi_id, NEW_PERSON),)
            retire = () if len(person.records) > 1 else ((person.mpi_id, None),)
            # What the record was said to be the same as was said of the patient before.
            lift = said_same(await self._store.assertions((task.record,)))
        return await self._settle_version(
            found, RecordStatus.ACTIVE, actor, reason, done, moves, retire, lift
        )

    async def _settle_version(
        self,
        version: StoredRecord,
        status: RecordStatus,
        actor: str,
        reason: str,
        done: Settled,
        moves: tuple[RecordMove, ...] = (),
        retire: Retired = (),
        lift: tuple[Assertion, ...] = (),
    ) -> ChangeAnswer:
        kept = {KEPT_AS: status.value} if status is RecordStatus.HISTORY else {}
        now = self._clock()
        return await self._commit(
            IdentityChange(
                EventKind.TASK_DECIDED,
                now,
                actor,
                reason,
                record=replace(version, status=status, received_at=now),
                moves=moves,
                retire=retire,
                lift=lift,
                detail=kept,
            ),
            done,
        )

    async def _change(
        self,
        task: Task,
        kind: EventKind,
        actor: str,
        reason: str | None,
        update: TaskUpdate,
        if_match: int | None,
    ) -> Task:
        """Change who works on a task and when. Whoever was faster wins."""
        check_version(if_match, task.version, "task")
        detail = {"task_id": task.task_id, "assignee": update.assignee}
        if update.deferred_until is not None:
            detail["until"] = update.deferred_until.isoformat()
        await self._commit(
            IdentityChange(
                kind,
                self._clock(),
                actor,
                reason,
                task_updates=(update,),
                expected_versions=((task.task_id, task.version),),
                detail=detail,
            )
        )
        return await self.task(task.task_id)

    async def _free(self, task_id: str, actor: str) -> Task:
        task = await self._undecided(task_id)
        if task.status is TaskStatus.CLAIMED and task.assignee != actor:
            raise Conflict("somebody else claimed the task")
        return task

    async def _undecided(self, task_id: str) -> Task:
        task = await self.task(task_id)
        if task.status is TaskStatus.DECIDED:
            raise Conflict("the task is decided already", outcome=task.outcome)
        return task
