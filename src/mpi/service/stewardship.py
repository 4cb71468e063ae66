"""What people decide: merge, move, assert, undo, and the review queue. Human decisions outrank the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from mpi.domain.identity import (
    NEW_PERSON,
    Assertion,
    AssertionKind,
    Event,
    EventKind,
    IdentityChange,
    PersonState,
    RecordMove,
    StoredRecord,
    Task,
    TaskKind,
    TaskStatus,
    TaskUpdate,
)
from mpi.domain.mpi_id import parse_mpi_id
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import Conflict, Gone, InvalidInput, NotFound, PreconditionFailed
from mpi.ports import IndexStore
from mpi.service.answers import ChangeAnswer

_REVERSIBLE = frozenset({EventKind.LINKED, EventKind.MERGED, EventKind.MOVED, EventKind.ASSERTED})


class Stewardship:
    """Human decisions about identity. Every one is an event that can be undone."""

    def __init__(self, *, store: IndexStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def merge(
        self,
        survivor: str,
        retire: str,
        *,
        reason: str,
        actor: str,
        override: bool = False,
        if_match: int | None = None,
        tasks: tuple[TaskUpdate, ...] = (),
    ) -> ChangeAnswer:
        """Make two persons one; the retired id stays an alias for ever.

        Raises ``Conflict`` naming the pairs asserted not-same, unless ``override``: then they are lifted.
        """
        kept, gone = await self._active(survivor), await self._active(retire)
        if kept.mpi_id == gone.mpi_id:
            raise Conflict("a person cannot be merged with itself")
        lifted = await self._apart(kept.records, gone.records, override=override)
        return await self._commit(
            EventKind.MERGED,
            actor,
            reason,
            moves=tuple(RecordMove(r.key, gone.mpi_id, kept.mpi_id) for r in gone.records),
            retire=((gone.mpi_id, kept.mpi_id),),
            lift=lifted,
            task_updates=tasks,
            expected_versions=_expected(kept, if_match),
        )

    async def move(
        self,
        key: RecordKey,
        to: str,
        *,
        reason: str,
        actor: str,
        override: bool = False,
        if_match: int | None = None,
        tasks: tuple[TaskUpdate, ...] = (),
    ) -> ChangeAnswer:
        """Take one record out of its person into another, or into a new one (``to`` = ``new``)."""
        record = await self._record(key)
        origin = await self._active(record.mpi_id or "")
        lifted: tuple[Assertion, ...] = ()
        target = NEW_PERSON
        if to != NEW_PERSON:
            person = await self._active(to)
            target = person.mpi_id
            if target == origin.mpi_id:
                raise Conflict("the record belongs to this person already")
            lifted = await self._apart((record,), person.records, override=override)
        elif len(origin.records) == 1:
            raise Conflict("the record is alone in its person already")
        retire = () if len(origin.records) > 1 else ((origin.mpi_id, target),)
        return await self._commit(
            EventKind.MOVED,
            actor,
            reason,
            moves=(RecordMove(key, origin.mpi_id, target),),
            retire=retire,
            lift=lifted,
            task_updates=tasks,
            expected_versions=_expected(origin, if_match),
        )

    async def assert_pair(
        self,
        kind: Literal["same", "not-same"],
        left: RecordKey,
        right: RecordKey,
        *,
        reason: str,
        actor: str,
        override: bool = False,
        tasks: tuple[TaskUpdate, ...] = (),
    ) -> ChangeAnswer:
        """State that two records are, or are not, one patient. The index follows at once.

        ``same`` merges their persons; ``not-same`` moves the right record out when both share a person. Raises
        ``Conflict`` when the opposite is asserted of the pair.
        """
        if left == right:
            raise Conflict("an assertion needs two different records")
        one, other = await self._record(left), await self._record(right)
        assertion = Assertion(AssertionKind(kind), left, right, actor, reason, self._clock())
        known = [
            a for a in await self._store.assertions([left]) if {a.left, a.right} == {left, right}
        ]
        if any(a.kind is not assertion.kind for a in known) and not override:
            raise Conflict(
                "the opposite is asserted of these two records", records=_pair(assertion)
            )
        lifted = tuple(a for a in known if a.kind is not assertion.kind)
        moves: tuple[RecordMove, ...] = ()
        retire: tuple[tuple[str, str | None], ...] = ()
        if assertion.kind is AssertionKind.SAME and one.mpi_id != other.mpi_id:
            ours, theirs = await self._active(one.mpi_id or ""), await self._active(
                other.mpi_id or ""
            )
            kept, gone = sorted((ours, theirs), key=lambda p: p.mpi_id)
            forbidden = await self._apart(kept.records, gone.records, override=override)
            lifted = tuple({*lifted, *forbidden})
            moves = tuple(RecordMove(r.key, gone.mpi_id, kept.mpi_id) for r in gone.records)
            retire = ((gone.mpi_id, kept.mpi_id),)
        elif assertion.kind is AssertionKind.NOT_SAME and one.mpi_id == other.mpi_id:
            moves = (RecordMove(right, other.mpi_id, NEW_PERSON),)
        return await self._commit(
            EventKind.ASSERTED,
            actor,
            reason,
            moves=moves,
            retire=retire,
            assertions=(assertion,),
            lift=lifted,
            task_updates=tasks,
        )

    async def undo(
        self,
        event_id: str,
        *,
        reason: str,
        actor: str,
        cascade: bool = False,
        preview: bool = False,
    ) -> ChangeAnswer:
        """Reverse a decision exactly: records that it moved go back, persons that it retired return.

        Undoing a link or merge writes a not-same between a moved record and one that stayed; undoing
        that undo lifts it. Raises ``Conflict`` listing later events that touch the same records.
        """
        event = await self._store.event(event_id)
        if event is None:
            raise NotFound("no event has this id")
        if event.undone_by is not None:
            raise Conflict("the event was undone before", undone_by=event.undone_by)
        if event.kind not in _REVERSIBLE | {EventKind.UNDONE}:
            raise Conflict(f"an event of kind {event.kind} cannot be undone")
        if cascade:
            raise InvalidInput(
                "cascade is not available; undo the later events first, newest first"
            )
        moved = {move.key for move in event.moves}
        later = await self._store.later_events(event)
        blocking = [
            e.event_id for e in later if moved & {m.key for m in e.moves} and e.undone_by is None
        ]
        if blocking:
            raise Conflict("later events touch the same records", events=blocking)
        back, revive = _reversed_moves(event)
        if preview:
            return ChangeAnswer(None, None, preview=True, detail={"moves": _named(back)})
        retire = await self._emptied(event, back)
        return await self._commit(
            EventKind.UNDONE,
            actor,
            reason,
            moves=back,
            retire=retire,
            revive=revive,
            assertions=await self._kept_apart(event, actor, reason),
            lift=event.asserted,
            undoes=event.event_id,
        )

    async def _emptied(
        self, event: Event, back: Sequence[RecordMove]
    ) -> tuple[tuple[str, str | None], ...]:
        """Persons that the undo leaves without a record. Undoing an undo brings the old aliases back."""
        aliases = dict(event.retired)
        found: dict[str, str | None] = {}
        for move in back:
            person = await self._store.person(move.origin or "")
            leaving = {m.key for m in back if m.origin == move.origin}
            if person is not None and {r.key for r in person.records} <= leaving:
                found[person.mpi_id] = aliases.get(person.mpi_id, move.target)
        return tuple(found.items())

    async def _kept_apart(self, event: Event, actor: str, reason: str) -> tuple[Assertion, ...]:
        """Not-same between each moved record and one record that stays behind: nothing rejoins them by itself.

        One pair per moved record is enough: no person may hold both, through any chain of merges.
        """
        if event.kind not in (EventKind.LINKED, EventKind.MERGED):
            return ()
        moved = {move.key for move in event.moves}
        made = []
        for move in event.moves:
            person = await self._store.person(move.target or "")
            staying = sorted(r.key for r in person.records if r.key not in moved) if person else []
            if staying:
                kind = AssertionKind.NOT_SAME
                made.append(Assertion(kind, move.key, staying[0], actor, reason, self._clock()))
        return tuple(made)

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
            return await self._commit(EventKind.TASK_DECIDED, actor, reason, task_updates=update)
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
        status = RecordStatus.HISTORY if outcome == "reject" else RecordStatus.ACTIVE
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
            record=replace(pending, status=status, received_at=self._clock()),
            moves=moves,
            retire=retire,
            task_updates=update,
        )

    async def _undecided(self, task_id: str) -> Task:
        task = await self.task(task_id)
        if task.status is TaskStatus.DECIDED:
            raise Conflict("the task is decided already", outcome=task.outcome)
        return task

    async def _record(self, key: RecordKey) -> StoredRecord:
        record = await self._store.record(key)
        if record is None:
            raise NotFound("no record is registered under this source and source_id")
        if record.status is RecordStatus.DELETED:
            raise Gone("the record was deleted; its history remains")
        return record

    async def _active(self, mpi_id: str) -> PersonState:
        """The person behind an id or alias. Raises ``NotFound`` or ``Gone``."""
        state = await self._store.person(parse_mpi_id(mpi_id) or "")
        while state is not None and state.merged_into is not None:
            state = await self._store.person(state.merged_into)
        if state is None:
            raise NotFound("no person has this mpi_id")
        if not state.active:
            raise Gone("the person is retired; its history remains")
        return state

    async def _apart(
        self, left: Sequence[StoredRecord], right: Sequence[StoredRecord], *, override: bool
    ) -> tuple[Assertion, ...]:
        """Not-same assertions between two sides: lifted when overridden, else a ``Conflict`` that names them."""
        ours, theirs = {r.key for r in left}, {r.key for r in right}
        found = tuple(
            a
            for a in await self._store.assertions(sorted(ours))
            if a.kind is AssertionKind.NOT_SAME
            and ((a.left in ours and a.right in theirs) or (a.left in theirs and a.right in ours))
        )
        if found and not override:
            pairs = [_pair(a) for a in found]
            raise Conflict(
                "these records are asserted not to be the same patient", assertions=pairs
            )
        return found

    async def _commit(
        self, kind: EventKind, actor: str, reason: str | None, **parts: object
    ) -> ChangeAnswer:
        change = IdentityChange(kind=kind, at=self._clock(), actor=actor, reason=reason)
        committed = await self._store.commit(replace(change, **parts))  # type: ignore[arg-type]
        event = committed.event
        retired = tuple(mpi_id for mpi_id, _ in event.retired)
        return ChangeAnswer(event.event_id, committed.mpi_id, retired, committed.task_ids)


def _reversed_moves(event: Event) -> tuple[tuple[RecordMove, ...], tuple[str, ...]]:
    """The moves back, and the persons that live again. A record that came new gets a person of its own."""
    retired = tuple(mpi_id for mpi_id, _ in event.retired)
    back = tuple(RecordMove(m.key, m.target, m.origin or NEW_PERSON) for m in event.moves)
    return back, tuple(m for m in retired if any(move.target == m for move in back))


def _named(moves: Sequence[RecordMove]) -> list[dict[str, object]]:
    return [
        {"record": [m.key.source, m.key.source_id], "from": m.origin, "to": m.target} for m in moves
    ]


def _pair(assertion: Assertion) -> list[list[str]]:
    return [[key.source, key.source_id] for key in (assertion.left, assertion.right)]


def _expected(person: PersonState, if_match: int | None) -> tuple[tuple[str, int], ...]:
    return ((person.mpi_id, if_match),) if if_match is not None else ()
