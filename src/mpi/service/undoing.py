"""Taking decisions back: what a decision moved returns, what came later stays, a human has the last word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from mpi.domain.identity import (
    ANY_VERSION,
    KEPT_AS,
    NEW_PERSON,
    Assertion,
    AssertionKind,
    Event,
    EventKind,
    IdentityChange,
    RecordMove,
    StoredRecord,
    Task,
    TaskStatus,
    TaskUpdate,
)
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import Conflict, NotFound, PreconditionFailed
from mpi.matching.blocking import stored_keys
from mpi.service.aftermath import questions
from mpi.service.answers import ChangeAnswer
from mpi.service.decisions import APART, HumanDecisions, named, not_same, pair_of
from mpi.service.past import current_version
from mpi.service.way_back import WayBack, in_the_way

_JOINS = frozenset({EventKind.LINKED, EventKind.REVIVED, EventKind.MERGED})
_REVERSIBLE = _JOINS | {
    EventKind.MOVED,
    EventKind.ASSERTED,
    EventKind.TASK_DECIDED,
    EventKind.UNDONE,
}


class _Rehearsed(Exception):
    """Ends a group whose changes were only tried."""


class Undoing(HumanDecisions):
    """Human decisions, and how they and the model's are taken back."""

    async def undo(
        self,
        event_id: str,
        *,
        reason: str,
        actor: str,
        cascade: bool = False,
        preview: bool = False,
        if_match: int | None = None,
    ) -> ChangeAnswer:
        """Reverse a decision exactly: records that it moved go back, persons that it retired return.

        Records that came later stay; one that fits what returned as well, or neither side, is a task. Undoing a
        link or merge writes a not-same between what moved and what stayed; undoing that undo lifts it.
        ``cascade`` first undoes the later human decisions about the same records, the newest first, all or nothing.
        ``if_match`` is the version of the person that holds the records now.

        Raises ``Conflict`` listing those later decisions, or when the event cannot be undone.
        """
        if preview:
            async with self._rehearsal():
                return await self._as_preview(
                    await self._take_back(event_id, reason, actor, if_match, cascade=cascade)
                )
        async with self._store.group():
            return await self._take_back(event_id, reason, actor, if_match, cascade=cascade)

    @asynccontextmanager
    async def _rehearsal(self) -> AsyncIterator[None]:
        """What is done inside is seen inside, and then has never happened."""
        with suppress(_Rehearsed):
            async with self._store.group():
                yield
                raise _Rehearsed

    async def _take_back(
        self, event_id: str, reason: str, actor: str, if_match: int | None, *, cascade: bool
    ) -> ChangeAnswer:
        event = await self._event(event_id)
        if if_match not in (None, ANY_VERSION) and if_match != await self._version_of(event):
            raise PreconditionFailed("the person has another version than If-Match names")
        answers = await self._undo(event, reason, actor, cascade=cascade)
        moves = [move for answer in answers for move in answer.detail["moves"]]
        return replace(
            answers[-1],
            retired=tuple(dict.fromkeys(m for answer in answers for m in answer.retired)),
            task_ids=tuple(dict.fromkeys(t for answer in answers for t in answer.task_ids)),
            detail={"moves": moves, "undone": [answer.detail["undoes"] for answer in answers]},
        )

    async def _undo(
        self, event: Event, reason: str, actor: str, *, cascade: bool
    ) -> list[ChangeAnswer]:
        """Reverse an event after those in its way, the newest first."""
        if event.undone_by is not None:
            raise Conflict("the event was undone before", undone_by=event.undone_by)
        if event.kind not in _REVERSIBLE:
            raise Conflict(f"an event of kind {event.kind} cannot be undone")
        done: list[ChangeAnswer] = []
        while blocking := in_the_way(event, await self._store.later_events(event)):
            if not cascade:
                raise Conflict("later decisions touch the same records", events=blocking)
            last = await self._event(blocking[-1])
            done += await self._undo(last, reason, actor, cascade=True)
        done.append(await self._reverse(event, reason, actor))
        return done

    async def _event(self, event_id: str) -> Event:
        event = await self._store.event(event_id)
        if event is None:
            raise NotFound("no event has this id")
        return event

    async def _version_of(self, event: Event) -> int | None:
        """The version of the person that holds what the event moved, or else of the first that it touched."""
        held = [await self._holder(move.key) for move in event.moves]
        mpi_id = next((h for h in held if h is not None), next(iter(event.persons), ""))
        person = await self._store.person(await self._survivor(mpi_id))
        return person.version if person else None

    async def _reverse(self, event: Event, reason: str, actor: str) -> ChangeAnswer:
        back = await self._way_back(event)
        lift = await self._in_force(event.asserted)
        again = [a for a in event.lifted if not await self._in_force((a,))]
        await self._check_homes(back, lift)
        content, pending, details = await self._content_before(event)
        task, settles = await self._task_before(event)
        asked = await questions(self._store, self._model, event, back)
        in_doubt = {question.record for question in asked}
        apart = await self._kept_apart(event, back, in_doubt, reason, actor)
        if not (back.moves or lift or again or content or task):
            raise Conflict("nothing is left of what this event did")
        undone = IdentityChange(
            kind=EventKind.UNDONE,
            at=self._clock(),
            actor=actor,
            reason=reason,
            record=content,
            moves=back.moves,
            retire=back.retire,
            revive=back.revive,
            tasks=asked,
            task_updates=task,
            assertions=_each_once((*again, *apart)),
            lift=lift,
            undoes=event.event_id,
            detail=details | settles,
        )
        answer = await self._apply(*pending, undone)
        return replace(answer, detail=answer.detail | {"undoes": event.event_id})

    async def _way_back(self, event: Event) -> WayBack:
        """Only what is where the event put it goes back, or where its person went by a merge since."""
        retired, left = dict(event.retired), {}
        moves, revive = [], []
        for move in event.moves:
            holder = await self._holder(move.key)
            if holder is None or holder != await self._survivor(move.target or ""):
                continue
            left[holder] = await self._active(holder)
            home, lives = await self._home(move.origin, retired)
            alone = len(left[holder].records) == 1
            if home == holder or (home == NEW_PERSON and alone):
                continue
            moves.append(RecordMove(move.key, holder, home))
            revive += [] if lives else [home]
        leaving = {m.key for m in moves}
        retire = tuple(
            (mpi_id, next(m.target for m in moves if m.origin == mpi_id))
            for mpi_id, person in left.items()
            if {r.key for r in person.records} <= leaving
        )
        return WayBack(tuple(moves), tuple(dict.fromkeys(revive)), retire, left)

    async def _home(
        self, origin: str | None, retired: Mapping[str, str | None]
    ) -> tuple[str, bool]:
        """Where a record was before, and whether that person lives.

        One that the event retired returns, and one without a survivor; for any other that was merged since, its
        survivor stands.
        """
        if origin is None:
            return NEW_PERSON, True
        person = await self._store.person(origin)
        if person is not None and person.active:
            return origin, True
        survivor = await self._store.person(await self._survivor(origin))
        if origin not in retired and survivor is not None and survivor.active:
            return survivor.mpi_id, True
        return origin, False

    async def _holder(self, key: RecordKey) -> str | None:
        record = await self._store.record(key)
        return None if record is None else record.mpi_id

    async def _survivor(self, mpi_id: str) -> str:
        """The end of a chain of aliases."""
        person = await self._store.person(mpi_id)
        while person is not None and person.merged_into is not None:
            mpi_id = person.merged_into
            person = await self._store.person(mpi_id)
        return mpi_id

    async def _in_force(self, assertions: Sequence[Assertion]) -> tuple[Assertion, ...]:
        stored = await self._store.assertions(sorted({a.left for a in assertions}))
        known = {(a.kind, pair_of(a)) for a in stored}
        return tuple(a for a in assertions if (a.kind, pair_of(a)) in known)

    async def _check_homes(self, back: WayBack, lifted: Sequence[Assertion]) -> None:
        """A record does not go back to one that it was since asserted not to be the same as."""
        gone = {pair_of(a) for a in lifted}
        for home in {m.target for m in back.moves if m.target not in (None, NEW_PERSON)}:
            person = await self._store.person(home or "")
            returning = [m.key for m in back.moves if m.target == home]
            residents = [r.key for r in person.records] if person else []
            found = await self._between(returning, residents, override=True)
            forbidding = [a for a in found if pair_of(a) not in gone]
            if forbidding:
                raise Conflict(APART, assertions=named(forbidding))

    async def _kept_apart(
        self, event: Event, back: WayBack, in_doubt: Set[RecordKey], reason: str, actor: str
    ) -> tuple[Assertion, ...]:
        """Not-same between what an undone link or merge had brought and what stays: nothing rejoins them by itself.

        What is in doubt may still turn out to belong to either side.
        """
        if event.kind not in _JOINS:
            return ()
        made: list[Assertion] = []
        for mpi_id in back.left:
            going = [m.key for m in back.moves if m.origin == mpi_id]
            staying = [r.key for r in back.staying(mpi_id) if r.key not in in_doubt]
            made += not_same(going, staying, actor, reason, self._clock())
        stored = await self._store.assertions(sorted(back.keys))
        same = {pair_of(a) for a in stored if a.kind is AssertionKind.SAME}
        return tuple(a for a in made if pair_of(a) not in same)

    async def _content_before(
        self, event: Event
    ) -> tuple[StoredRecord | None, tuple[IdentityChange, ...], dict[str, Any]]:
        """The version that a decided overlay replaced or settled, and the change that lets the overlay wait again."""
        if event.record is None or event.kind not in (EventKind.TASK_DECIDED, EventKind.UNDONE):
            return None, (), {}
        current = await self._record(event.record)
        versions = {v.version: v for v in await self._store.versions(event.record)}
        made = versions[event.record_version or 0]
        now = self._clock()
        if KEPT_AS in event.detail:
            status = _OTHER[RecordStatus(event.detail[KEPT_AS])]
            return replace(made, status=status, received_at=now), (), {KEPT_AS: status.value}
        if current.version != event.record_version:
            raise Conflict("a newer version of the record came since")
        earlier = [e for e in await self._store.record_events(event.record) if e.seq < event.seq]
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
            actor=event.actor,
            record=replace(made, status=RecordStatus.PENDING, received_at=now),
            detail={KEPT_AS: RecordStatus.PENDING.value},
        )
        return content, (waiting,), {}

    async def _task_before(self, event: Event) -> tuple[tuple[TaskUpdate, ...], dict[str, Any]]:
        """The task that the decision settled is open again; with an undo undone, settled again."""
        task = await self._store.task(event.detail.get("task_id", ""))
        if task is None:
            return (), {}
        outcome = None
        if event.kind is EventKind.UNDONE and event.undoes is not None:
            outcome = (await self._event(event.undoes)).detail.get("outcome")
        details = {"task_id": task.task_id, "outcome": outcome}
        if (task.status is TaskStatus.DECIDED) is (outcome is not None):
            return (), details
        if outcome is None and await self._asked_again(task):
            return (), details
        status = TaskStatus.OPEN if outcome is None else TaskStatus.DECIDED
        return (TaskUpdate(task.task_id, status, outcome=outcome),), details

    async def _asked_again(self, task: Task) -> bool:
        """Whether an undecided task asks the same by now."""
        tasks = await self._store.tasks(None, mpi_id=await self._holder(task.record) or "")
        return any(
            (t.kind, t.record) == (task.kind, task.record) and t.status is not TaskStatus.DECIDED
            for t in tasks
        )

    async def _as_preview(self, answer: ChangeAnswer) -> ChangeAnswer:
        """What a tried change did, without the names of what does not exist."""
        minted = any(move["to"] == NEW_PERSON for move in answer.detail["moves"])
        ghost = answer.mpi_id if minted else None
        tasks = [await self._store.task(task_id) for task_id in answer.task_ids]
        questions = [
            {
                "record": [task.record.source, task.record.source_id],
                "candidates": [NEW_PERSON if c == ghost else c for c in task.candidates],
                "reason": task.reason,
            }
            for task in tasks
            if task is not None
        ]
        return replace(
            answer,
            event_id=None,
            mpi_id=None if minted else answer.mpi_id,
            task_ids=(),
            preview=True,
            detail=answer.detail | {"tasks": questions},
        )


_OTHER = {
    RecordStatus.HISTORY: RecordStatus.PENDING,
    RecordStatus.PENDING: RecordStatus.HISTORY,
}
"""What becomes of a version that was rejected, or waits, when that is undone."""


def _each_once(assertions: Iterable[Assertion]) -> tuple[Assertion, ...]:
    """The first assertion of each pair: an undo restores what was lifted before it states the same anew."""
    found: dict[frozenset[RecordKey], Assertion] = {}
    for assertion in assertions:
        found.setdefault(pair_of(assertion), assertion)
    return tuple(found.values())
