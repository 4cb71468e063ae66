"""What people decide: merge, move, assert. Human decisions outrank the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from itertools import product
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from mpi.domain.identity import (
    NEW_PERSON,
    Assertion,
    AssertionKind,
    EventKind,
    IdentityChange,
    PersonState,
    RecordMove,
    StoredRecord,
    TaskStatus,
    TaskUpdate,
)
from mpi.domain.mpi_id import parse_mpi_id
from mpi.domain.record import RecordKey
from mpi.errors import Conflict, Gone
from mpi.ports import AskedLater, IndexStore, ModelInUse
from mpi.service.alignment import announced
from mpi.service.answers import ChangeAnswer
from mpi.service.lookup import current_record, expected, surviving_person
from mpi.service.task_settlement import with_answered

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="HumanDecisions")
Retired = tuple[tuple[str, str | None], ...]

APART = "these records are asserted not to be the same patient"
_OPPOSITE = "the opposite is asserted of these two records"
_MOST_PAIRS = 2_500
"""Of two sides in one decision: every decision about either reads them, and their event is one document."""
_FEWEST_EACH = 2
"""So many of the other side keep each record of sides too large for all pairs: one may go, and one is left."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The task that a decision answers; ``version`` is the one the steward has seen, if that counts."""

    update: TaskUpdate
    version: int | None = None

    @property
    def expected(self) -> tuple[tuple[str, int], ...]:
        """The version that the task must still have."""
        return expected(self.update.task_id, self.version)

    @property
    def detail(self) -> dict[str, Any]:
        """What the event tells of the task."""
        return {"task_id": self.update.task_id, "outcome": self.update.outcome}


def settled(task_id: str, actor: str, outcome: str, version: int | None) -> Settled:
    """The task, decided by ``actor``."""
    update = TaskUpdate(task_id, TaskStatus.DECIDED, assignee=actor, outcome=outcome)
    return Settled(update, version)


def at_once(
    decide: Callable[Concatenate[S, P], Awaitable[R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """What a decision looks at stays as it is until the decision is stored."""

    @wraps(decide)
    async def whole(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        async with self._store.group():
            return await decide(self, *args, **kwargs)

    return whole


class HumanDecisions:
    """Human decisions about identity. Every one is an event that can be undone.

    An index elsewhere is told of them, but for records of the sources ``untold``; None: there is none. ``late`` is the
    provider that is asked later, if it is one.
    """

    def __init__(
        self,
        *,
        store: IndexStore,
        model: ModelInUse,
        clock: Callable[[], datetime],
        untold: frozenset[str] | None = None,
        late: AskedLater | None = None,
    ) -> None:
        self._store = store
        self._model = model
        self._clock = clock
        self._untold = untold
        self._late = late

    @at_once
    async def merge(
        self,
        survivor: str,
        retire: str,
        *,
        reason: str,
        actor: str,
        override: bool = False,
        if_match: int | None = None,
        task: Settled | None = None,
        beside: tuple[Assertion, ...] = (),
    ) -> ChangeAnswer:
        """Make two persons one; the retired id stays an alias for ever. ``beside`` is asserted with it.

        Raises ``Conflict`` naming the events that asserted not-same, unless ``override``: then they are lifted, as is
        in any case what only a move has said.
        """
        kept, gone = await self._active(survivor), await self._active(retire)
        if kept.mpi_id == gone.mpi_id:
            raise Conflict("a person cannot be merged with itself")
        lifted = await self._between(_keys(kept), _keys(gone), override=override)
        return await self._commit(
            IdentityChange(
                EventKind.MERGED,
                self._clock(),
                actor,
                reason,
                moves=tuple(RecordMove(r.key, gone.mpi_id, kept.mpi_id) for r in gone.records),
                retire=((gone.mpi_id, kept.mpi_id),),
                assertions=beside,
                lift=lifted,
                expected_versions=expected(kept.mpi_id, if_match),
            ),
            task,
        )

    @at_once
    async def move(
        self,
        key: RecordKey,
        to: str,
        *,
        reason: str,
        actor: str,
        override: bool = False,
        if_match: int | None = None,
        task: Settled | None = None,
    ) -> ChangeAnswer:
        """Take one record out of its person into another, or into a new one (``to`` = ``new``).

        It is not the same as those that it leaves then, until people decide otherwise: else the model, which put
        them together, would do so again. Raises ``Conflict`` naming the events that asserted that it is, or that
        it is not the same as those to whom it goes, unless ``override``: then they are lifted.
        """
        record = await current_record(self._store, key)
        origin = await self._active(record.mpi_id or "")
        left = [other.key for other in origin.company_of(key)]
        apart = not_same([key], left, actor, reason, self._clock())
        lifted = await self._opposed(apart, override=override)
        target = NEW_PERSON
        if to != NEW_PERSON:
            person = await self._active(to)
            target = person.mpi_id
            if target == origin.mpi_id:
                raise Conflict("the record belongs to this person already")
            lifted += await self._between((key,), _keys(person), override=override)
        elif not left:
            raise Conflict("the record is alone in its person already")
        return await self._commit(
            IdentityChange(
                EventKind.MOVED,
                self._clock(),
                actor,
                reason,
                moves=(RecordMove(key, origin.mpi_id, target),),
                retire=() if left else ((origin.mpi_id, target),),
                assertions=apart,
                lift=lifted,
                expected_versions=expected(origin.mpi_id, if_match),
            ),
            task,
        )

    @at_once
    async def assert_pair(
        self,
        kind: Literal["same", "not-same"],
        left: RecordKey,
        right: RecordKey,
        *,
        reason: str,
        actor: str,
        override: bool = False,
    ) -> ChangeAnswer:
        """State that two records are, or are not, one patient. The index follows at once.

        ``same`` merges their persons; ``not-same`` moves the right record out when both share a person. Raises
        ``Conflict`` naming the events that asserted the opposite.
        """
        if left == right:
            raise Conflict("an assertion needs two different records")
        one = await current_record(self._store, left)
        other = await current_record(self._store, right)
        assertion = Assertion(AssertionKind(kind), left, right, actor, reason, self._clock())
        lifted = await self._opposed((assertion,), override=override)
        moves: tuple[RecordMove, ...] = ()
        retire: Retired = ()
        if assertion.kind is AssertionKind.SAME and one.mpi_id != other.mpi_id:
            ours = await self._active(one.mpi_id or "")
            theirs = await self._active(other.mpi_id or "")
            kept, gone = sorted((ours, theirs), key=lambda p: p.mpi_id)
            forbidden = await self._between(_keys(kept), _keys(gone), override=override)
            lifted = tuple({*lifted, *forbidden})
            moves = tuple(RecordMove(r.key, gone.mpi_id, kept.mpi_id) for r in gone.records)
            retire = ((gone.mpi_id, kept.mpi_id),)
        elif assertion.kind is AssertionKind.NOT_SAME and one.mpi_id == other.mpi_id:
            moves = (RecordMove(right, other.mpi_id, NEW_PERSON),)
        return await self._commit(
            IdentityChange(
                EventKind.ASSERTED,
                self._clock(),
                actor,
                reason,
                moves=moves,
                retire=retire,
                assertions=(assertion,),
                lift=lifted,
            )
        )

    async def _keep_apart(
        self,
        record: StoredRecord,
        persons: Sequence[PersonState],
        reason: str,
        actor: str,
        task: Settled,
    ) -> ChangeAnswer:
        """Assert that a record is none of these persons; it leaves its own when that is one of them."""
        now, assertions = self._clock(), list[Assertion]()
        for person in persons:
            others = [other.key for other in person.company_of(record.key)]
            assertions += not_same([record.key], others, actor, reason, now)
        lifted = await self._opposed(assertions, override=False)
        leaving = any(p.mpi_id == record.mpi_id and len(p.records) > 1 for p in persons)
        return await self._commit(
            IdentityChange(
                EventKind.ASSERTED if assertions else EventKind.TASK_DECIDED,
                self._clock(),
                actor,
                reason,
                moves=(RecordMove(record.key, record.mpi_id, NEW_PERSON),) if leaving else (),
                assertions=tuple(assertions),
                lift=lifted,
            ),
            task,
        )

    async def _active(self, mpi_id: str) -> PersonState:
        """The person behind an id or alias. Raises ``NotFound`` or ``Gone``."""
        state = await surviving_person(self._store, parse_mpi_id(mpi_id) or "")
        if not state.active:
            raise Gone("the person is retired; its history remains")
        return state

    async def _between(
        self, left: Iterable[RecordKey], right: Iterable[RecordKey], *, override: bool
    ) -> tuple[Assertion, ...]:
        """Not-same assertions between two sides, to be lifted; see :meth:`_overruled`."""
        return await self._overruled(await self._parted(left, right), APART, override=override)

    async def _parted(
        self, left: Iterable[RecordKey], right: Iterable[RecordKey]
    ) -> tuple[Assertion, ...]:
        """Not-same assertions between two sides."""
        ours, theirs = set(left), set(right)
        return tuple(
            a
            for a in await self._store.assertions(sorted(ours))
            if a.kind is AssertionKind.NOT_SAME and a.joins(ours, theirs)
        )

    async def _opposed(
        self, wanted: Sequence[Assertion], *, override: bool
    ) -> tuple[Assertion, ...]:
        """What says the opposite of a pair, to be lifted (see :meth:`_overruled`); and what only a move has said, for
        now it is stated."""
        kinds = {a.pair: a.kind for a in wanted}
        stored = await self._store.assertions(sorted({a.left for a in wanted}))
        about = [a for a in stored if a.pair in kinds]
        opposite = [a for a in about if a.kind is not kinds[a.pair]]
        known = [a for a in about if a.kind is kinds[a.pair]]
        lifted = await self._overruled(opposite, _OPPOSITE, override=override)
        return (*lifted, *await self._of_moves(known))

    async def _overruled(
        self, found: Sequence[Assertion], why: str, *, override: bool
    ) -> tuple[Assertion, ...]:
        """All of these, to be lifted. Unless overridden, a ``Conflict`` names those that were stated outright.

        What a move says binds the model alone: whoever takes a person apart record by record moves one after another
        to those from whom an earlier move has just parted it.
        """
        moves = {a.event_id for a in await self._of_moves(found)}
        stated = [a for a in found if a.event_id not in moves]
        if stated and not override:
            raise Conflict(why, assertions=named(stated))
        return tuple(found)

    async def _of_moves(self, assertions: Sequence[Assertion]) -> list[Assertion]:
        """Those that nobody stated but by moving a record."""
        events = [await self._store.event(name) for name in named(assertions)]
        moves = {e.event_id for e in events if e is not None and e.kind is EventKind.MOVED}
        return [a for a in assertions if a.event_id in moves]

    async def _commit(self, change: IdentityChange, task: Settled | None = None) -> ChangeAnswer:
        """One change, with the task that it settles and those that are settled with it."""
        if task is not None:
            change = replace(
                change,
                task_updates=(task.update,),
                detail=task.detail | change.detail,
                expected_versions=(*change.expected_versions, *task.expected),
            )
        return await self._apply(await with_answered(self._store, change))

    async def _apply(self, change: IdentityChange, *more: IdentityChange) -> ChangeAnswer:
        changes = (change, *more)
        if self._untold is not None:
            changes = tuple(
                [await announced(self._store, c, self._untold, self._late) for c in changes]
            )
        committed = await self._store.commit(*changes)
        event = committed.event
        return ChangeAnswer(
            event.event_id,
            committed.mpi_id,
            tuple(mpi_id for mpi_id, _ in event.retired),
            committed.task_ids,
            detail={"moves": shown_moves([move for c in changes for move in c.moves])},
        )


def _keys(person: PersonState) -> list[RecordKey]:
    return [record.key for record in person.records]


def not_same(
    left: Sequence[RecordKey], right: Sequence[RecordKey], actor: str, reason: str, at: datetime
) -> tuple[Assertion, ...]:
    """Every record of one side is not the same as any of the other: no deletion or move opens a way back.

    Between sides too large for that each record is kept from as many of the other as make ``_MOST_PAIRS`` in all,
    two at the least and spread evenly: what one record alone kept apart would come together when that is deleted.
    """
    kind = AssertionKind.NOT_SAME
    return tuple(
        Assertion(kind, one, other, actor, reason, at) for one, other in _pairs(left, right)
    )


def _pairs(
    left: Sequence[RecordKey], right: Sequence[RecordKey]
) -> Iterator[tuple[RecordKey, RecordKey]]:
    """All pairs of the two sides, or so many that the loss of one record leaves nobody without."""
    fewer, more = (left, right) if len(left) <= len(right) else (right, left)
    each = max(_FEWEST_EACH, _MOST_PAIRS // max(1, len(more)))
    if each >= len(fewer):
        yield from product(left, right)
        return
    for place, many in enumerate(more):
        for step in range(each):
            few = fewer[(place + step) % len(fewer)]
            yield (few, many) if fewer is left else (many, few)


def shown_moves(moves: Iterable[RecordMove]) -> list[dict[str, object]]:
    """Moves as answers show them; ``new`` stands for a person that the change mints."""
    return [
        {"record": [m.key.source, m.key.source_id], "from": m.origin, "to": m.target} for m in moves
    ]


def named(assertions: Iterable[Assertion]) -> list[str]:
    """Assertions as errors name them: by their events, for source ids are patient data."""
    return sorted({a.event_id for a in assertions if a.event_id is not None})
