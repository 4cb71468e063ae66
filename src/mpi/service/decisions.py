"""What people decide: merge, move, assert, undo. Human decisions outrank the model."""

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
    TaskUpdate,
)
from mpi.domain.mpi_id import parse_mpi_id
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import Conflict, Gone, InvalidInput, NotFound
from mpi.ports import IndexStore
from mpi.service.answers import ChangeAnswer

_REVERSIBLE = frozenset({EventKind.LINKED, EventKind.MERGED, EventKind.MOVED, EventKind.ASSERTED})


class HumanDecisions:
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
        that undo lifts it. What the event lifted is asserted again.
        Raises ``Conflict`` listing later events that touch the same records.
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
        blocking = _in_the_way(event, await self._store.later_events(event))
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
            assertions=_each_once((*event.lifted, *await self._kept_apart(event, actor, reason))),
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


def _in_the_way(event: Event, later: Sequence[Event]) -> list[str]:
    """Later events in force that moved the same records. A decision and its undoing cancel out."""
    moved = {move.key for move in event.moves}
    known = {e.event_id for e in later}
    void: set[str] = set()
    found = []
    for e in sorted(later, key=lambda e: e.seq, reverse=True):
        if e.event_id in void:
            continue
        if e.undoes in known:
            void.add(e.undoes)
        elif moved & {move.key for move in e.moves}:
            found.append(e.event_id)
    return found[::-1]


def _each_once(assertions: Sequence[Assertion]) -> tuple[Assertion, ...]:
    """The first assertion of each pair: an undo restores what was lifted before it states the same anew."""
    found: dict[frozenset[RecordKey], Assertion] = {}
    for assertion in assertions:
        found.setdefault(frozenset((assertion.left, assertion.right)), assertion)
    return tuple(found.values())


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
