"""Taking decisions back: what a decision moved returns, what came later stays, a human has the last word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence, Set
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from mpi.domain.identity import (
    NEW_PERSON,
    Assertion,
    Event,
    EventKind,
    IdentityChange,
    RecordMove,
)
from mpi.domain.record import RecordKey
from mpi.errors import Conflict, NotFound
from mpi.service.answers import ChangeAnswer
from mpi.service.decisions import APART, HumanDecisions, named
from mpi.service.lookup import check_version, end_of_aliases
from mpi.service.task_settlement import content_before, tasks_before
from mpi.service.undo_aftermath import JOINS, Step, kept_apart, questions, step_of
from mpi.service.undo_plan import WayBack, in_the_way

_REVERSIBLE = JOINS | {
    EventKind.MOVED,
    EventKind.ASSERTED,
    EventKind.TASK_DECIDED,
    EventKind.UNDONE,
}


class _Rehearsed(Exception):
    """Ends a group whose changes were only tried."""


@dataclass(slots=True)
class _Together:
    """What is taken back at once: the decisions in the way, where that is a ``cascade``, and the event itself."""

    reason: str
    actor: str
    cascade: bool
    answers: list[ChangeAnswer] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    @property
    def own(self) -> Set[str]:
        """The events that were made so far."""
        return {answer.event_id for answer in self.answers if answer.event_id is not None}


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
        if if_match is not None:
            check_version(if_match, await self._version_of(event))
        together = _Together(reason, actor, cascade=cascade)
        await self._undo(event, together, is_last=True)
        answers = together.answers
        moves = [move for answer in answers for move in answer.detail["moves"]]
        return replace(
            answers[-1],
            retired=tuple(dict.fromkeys(m for answer in answers for m in answer.retired)),
            task_ids=tuple(dict.fromkeys(t for answer in answers for t in answer.task_ids)),
            detail={"moves": moves, "undone": [answer.detail["undoes"] for answer in answers]},
        )

    async def _undo(self, event: Event, together: _Together, *, is_last: bool = False) -> None:
        """Reverse an event after those in its way, the newest first; the last of all asks what that leaves open."""
        if event.undone_by is not None:
            raise Conflict("the event was undone before", undone_by=event.undone_by)
        if event.kind not in _REVERSIBLE:
            raise Conflict(f"an event of kind {event.kind} cannot be undone")
        while blocking := await self._blocking(event, together.own):
            if not together.cascade:
                raise Conflict("later decisions touch the same records", events=blocking)
            await self._undo(await self._event(blocking[-1]), together)
        together.answers.append(await self._reverse(event, together, is_last=is_last))

    async def _blocking(self, event: Event, own: Set[str]) -> list[str]:
        """Later human decisions in the way, oldest first: about the same records, or keeping one from home.

        ``own`` are the events of this cascade. They clear the way and never stand in it: else undoing a merge, which
        keeps apart what it had joined, would have to be undone for an earlier event that joined them before.
        """
        later = await self._store.later_events(event)
        found = [event_id for event_id in in_the_way(event, later) if event_id not in own]
        if found:
            return found
        lift = await self._in_force(event.asserted)
        forbidding = await self._forbidding(await self._way_back(event), lift, own)
        made = {e.seq: e for e in [await self._event(a.event_id or "") for a in forbidding]}
        return [made[seq].event_id for seq in sorted(made) if seq > event.seq]

    async def _event(self, event_id: str) -> Event:
        event = await self._store.event(event_id)
        if event is None:
            raise NotFound("no event has this id")
        return event

    async def _version_of(self, event: Event) -> int | None:
        """The version of the person that holds what the event moved, or else of the first that it touched."""
        held = [await self._holder(move.key) for move in event.moves]
        mpi_id = next((h for h in held if h is not None), next(iter(event.persons), ""))
        person = await end_of_aliases(self._store, mpi_id)
        return person.version if person else None

    async def _reverse(self, event: Event, together: _Together, *, is_last: bool) -> ChangeAnswer:
        reason, actor = together.reason, together.actor
        back = await self._way_back(event)
        lift = await self._in_force(event.asserted)
        again = await self._again(event, lift)
        forbidding = await self._forbidding(back, lift, together.own)
        if forbidding:
            raise Conflict(APART, assertions=named(forbidding))
        lift += await self._forbidding(back, lift)
        content, pending, details = await content_before(self._store, event, actor, self._clock())
        reopened, settles = await tasks_before(self._store, event)
        step = await step_of(self._store, event, back)
        together.steps.append(step)
        steps = together.steps if is_last else [step]
        asked = await questions(self._store, self._model(), steps) if is_last else ()
        in_doubt = {question.record for question in asked} if is_last else {*step.joined}
        apart = await kept_apart(self._store, steps, in_doubt, reason, actor, self._clock())
        if not (back.moves or lift or again or content or reopened):
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
            task_updates=reopened,
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
            person = await end_of_aliases(self._store, move.target or "")
            if person is None or person.mpi_id != await self._holder(move.key):
                continue
            left[person.mpi_id] = person
            home, lives = await self._home(move.origin, retired)
            if home == person.mpi_id or (home == NEW_PERSON and len(person.records) == 1):
                continue
            moves.append(RecordMove(move.key, person.mpi_id, home))
            revive += [] if lives else [home]
        leaving = {m.key for m in moves}
        retire = [
            (mpi_id, await self._alias(mpi_id, event, moves))
            for mpi_id, person in left.items()
            if {r.key for r in person.records} <= leaving
        ]
        return WayBack(tuple(moves), tuple(dict.fromkeys(revive)), tuple(retire), left)

    async def _alias(self, mpi_id: str, event: Event, moves: Sequence[RecordMove]) -> str | None:
        """Whom an id names once all records of its person go back.

        A person that the event made or brought back is whoever they were before. Any other was a patient of its own,
        whose records were deleted or moved away meanwhile, and is nobody now.
        """
        (first,) = await self._store.events(limit=1, mpi_id=mpi_id)
        if first.seq != event.seq and mpi_id not in event.revived:
            return None
        return next(m.target for m in moves if m.origin == mpi_id)

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
        survivor = await end_of_aliases(self._store, origin)
        if origin not in retired and survivor is not None and survivor.active:
            return survivor.mpi_id, True
        return origin, False

    async def _holder(self, key: RecordKey) -> str | None:
        record = await self._store.record(key)
        return None if record is None else record.mpi_id

    async def _again(self, event: Event, lift: Sequence[Assertion]) -> list[Assertion]:
        """What the event lifted and nobody has said since, but the event itself, which is taken back."""
        gone = {(a.kind, a.pair) for a in lift}
        stands = {a for a in await self._in_force(event.lifted) if (a.kind, a.pair) not in gone}
        return [a for a in event.lifted if a not in stands]

    async def _in_force(self, assertions: Sequence[Assertion]) -> tuple[Assertion, ...]:
        stored = await self._store.assertions(sorted({a.left for a in assertions}))
        known = {(a.kind, a.pair) for a in stored}
        return tuple(a for a in assertions if (a.kind, a.pair) in known)

    async def _forbidding(
        self, back: WayBack, lifted: Sequence[Assertion], own: Set[str] = frozenset()
    ) -> tuple[Assertion, ...]:
        """What says that a record is not the same as one in the person to which it would go back.

        All but what is ``lifted`` and what the events ``own`` said.
        """
        found: list[Assertion] = []
        gone = {a.pair for a in lifted}
        for home in {m.target for m in back.moves if m.target not in (None, NEW_PERSON)}:
            person = await self._store.person(home or "")
            returning = [m.key for m in back.moves if m.target == home]
            residents = [r.key for r in person.records] if person else []
            found += await self._parted(returning, residents)
        return tuple(a for a in found if a.pair not in gone and a.event_id not in own)

    async def _as_preview(self, answer: ChangeAnswer) -> ChangeAnswer:
        """What a tried change did, without the names of what does not exist."""
        minted = any(move["to"] == NEW_PERSON for move in answer.detail["moves"])
        ghost = answer.mpi_id if minted else None
        tasks = [await self._store.task(task_id) for task_id in answer.task_ids]
        opened = [
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
            detail=answer.detail | {"tasks": opened},
        )


def _each_once(assertions: Iterable[Assertion]) -> tuple[Assertion, ...]:
    """The first assertion of each pair: an undo restores what was lifted before it states the same anew."""
    found: dict[frozenset[RecordKey], Assertion] = {}
    for assertion in assertions:
        found.setdefault(assertion.pair, assertion)
    return tuple(found.values())
