"""One person brought to where an index elsewhere has its records: split, merged, or a question for a steward."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from mpi.domain.identity import (
    AUTOMATIC,
    NEW_PERSON,
    AssertionKind,
    Event,
    EventKind,
    IdentityChange,
    Neighbour,
    NewTask,
    PersonState,
    RecordMove,
    StoredRecord,
    TaskKind,
)
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import told_detail
from mpi.matching.blocking import keys_beside
from mpi.ports import IndexStore
from mpi.service.history import history_of, is_known_elsewhere, replayed
from mpi.service.lookup import end_of_aliases
from mpi.service.task_settlement import with_answered

PARTED, JOINED = "parted_elsewhere", "joined_elsewhere"
"""Why a task asks: there the records are two patients, or one, and here people decided otherwise."""

Part = list[StoredRecord]


@dataclass(frozen=True, slots=True)
class Rearrangement:
    """``located`` are the records of ``person`` as they are known elsewhere. To be applied within a group."""

    store: IndexStore
    person: PersonState
    located: Sequence[StoredRecord]
    actor: str
    now: datetime

    async def apply(self) -> None:
        """Only what has changed there moves anything here: what is known is settled, whoever settled it."""
        before = {record.key: keys_beside(record) for record in self.person.records}
        changed = [r for r in self.located if keys_beside(r) != before[r.key]]
        parts = _parts(self.located)
        home = _home(parts, changed)
        for link, part in parts.items():
            if link is not None and link != home and all(record in changed for record in part):
                await self._leave(part)
                changed = [record for record in changed if record not in part]
        for record in changed:
            await self._note(record)
        if any(_link(record) == home for record in changed):
            await self._join(parts[home])

    async def _leave(self, part: Part) -> None:
        """The records of a link of their own go to its person, or become one."""
        keys = {record.key for record in part}
        staying = {record.key for record in self.person.records} - keys
        others = await self._others(part[0])
        target = others[0].mpi_id if others else NEW_PERSON
        question: tuple[NewTask, ...] = ()
        if await self._joined_by_people(keys, staying) or (
            others and await self._apart(keys, others[0])
        ):
            candidate = target if others else self.person.mpi_id
            reason = JOINED if others else PARTED
            question = (NewTask(TaskKind.UPDATE, part[0].key, (candidate,), None, reason),)
        for record in part:
            if question:
                await self._note(record, question)
                continue
            committed = await self.store.commit(
                replace(
                    self._change(EventKind.MOVED, record),
                    moves=(RecordMove(record.key, self.person.mpi_id, target),),
                )
            )
            target = committed.mpi_id if target == NEW_PERSON and committed.mpi_id else target

    async def _join(self, part: Part) -> None:
        """Everybody of the person's link is one patient with it; the oldest id survives."""
        kept = await self.store.person(self.person.mpi_id) or self.person
        for other in await self._others(part[0]):
            keys = {record.key for record in kept.records}
            if await self._apart(keys, other) or await self._parted_by_people(kept, other):
                task = NewTask(TaskKind.MERGE, part[0].key, (other.mpi_id,), None, JOINED)
                change = IdentityChange(EventKind.TASK_OPENED, self.now, self.actor, tasks=(task,))
                await self.store.commit(replace(change, detail={AUTOMATIC: True}))
                continue
            survivor, gone = sorted((kept.mpi_id, other.mpi_id))
            moving = await self.store.person(gone)
            merge = IdentityChange(
                kind=EventKind.MERGED,
                at=self.now,
                actor=self.actor,
                moves=tuple(
                    RecordMove(record.key, gone, survivor)
                    for record in (moving.records if moving else ())
                ),
                retire=((gone, survivor),),
                detail={AUTOMATIC: True},
            )
            await self.store.commit(await with_answered(self.store, merge))
            kept = await self.store.person(survivor) or kept

    async def _note(self, record: StoredRecord, tasks: tuple[NewTask, ...] = ()) -> None:
        """Keep the record under its new link, where it is."""
        await self.store.commit(replace(self._change(EventKind.UPDATED, record), tasks=tasks))

    def _change(self, kind: EventKind, record: StoredRecord) -> IdentityChange:
        content = replace(record, status=RecordStatus.ACTIVE, received_at=self.now)
        detail = {AUTOMATIC: True} | told_detail(record.told)
        return IdentityChange(kind, self.now, self.actor, record=content, detail=detail)

    async def _others(self, record: StoredRecord) -> list[Neighbour]:
        """The other persons that hold records of the same link, the oldest first."""
        links = keys_beside(record)
        found = await self.store.candidates([(key, ()) for key in links])
        others = [p for p in found.persons if p.mpi_id != self.person.mpi_id]
        known = [person for person in others if await self._is_of(person, links)]
        return sorted(known, key=lambda person: person.mpi_id)

    async def _is_of(self, other: Neighbour, links: Set[int]) -> bool:
        """Whether a record makes the person one of the link that is there with what it says here."""
        for evidence in other.records:
            record = await self.store.record(evidence.key)
            if record is None or links.isdisjoint(record.blocking_keys):
                continue
            if await is_known_elsewhere(self.store, record):
                return True
        return False

    async def _apart(self, keys: set[RecordKey], other: Neighbour) -> bool:
        """Whether a record is asserted not to be the same as one of the other person's."""
        theirs = {record.key for record in other.records}
        return any(
            a.kind is AssertionKind.NOT_SAME and a.joins(keys, theirs)
            for a in await self.store.assertions(sorted(keys))
        )

    async def _joined_by_people(self, leaving: set[RecordKey], staying: set[RecordKey]) -> bool:
        """Whether people have put some that leave together with some that stay."""
        said = await self.store.assertions(sorted(leaving))
        if any(a.kind is AssertionKind.SAME and a.joins(leaving, staying) for a in said):
            return True
        for event in await self._decisions(leaving | staying):
            for target in {move.target for move in event.moves if move.target is not None}:
                came = {move.key for move in event.moves if move.target == target}
                there = await self._joined_then(event, target, leaving | staying) - came
                if (leaving & came and staying & there) or (leaving & there and staying & came):
                    return True
        return False

    async def _joined_then(self, event: Event, mpi_id: str, here: Set[RecordKey]) -> Set[RecordKey]:
        """Whom of those ``here`` the person held when it was decided who joins it.

        If all of them are gone, under numbers that were replaced perhaps, whoever is here stands for them.
        """
        history = await history_of(self.store, mpi_id)
        held, *_ = replayed([each for each in history if each.seq < event.seq], mpi_id)
        return (here & {*held} or here) if held else frozenset()

    async def _parted_by_people(self, one: PersonState, other: Neighbour) -> bool:
        """Whether people have moved a record from one of the two persons, as they are called now, to the other."""
        keys = {record.key for person in (one, other) for record in person.records}
        moves = {
            (move.origin, move.target)
            for event in await self._decisions(keys)
            for move in event.moves
            if move.origin is not None and move.target is not None
        }
        both = {one.mpi_id, other.mpi_id}
        for ends in moves:
            persons = [await end_of_aliases(self.store, mpi_id) for mpi_id in ends]
            if {person.mpi_id for person in persons if person is not None} == both:
                return True
        return False

    async def _decisions(self, keys: Set[RecordKey]) -> list[Event]:
        """What people decided about the records, and is in force: persons may have become others since."""
        found = {e.seq: e for key in sorted(keys) for e in await self.store.record_events(key)}
        return [e for e in found.values() if e.is_human and e.undone_by is None]


def _link(record: StoredRecord) -> str | None:
    return None if record.told is None else record.told.link_id


def _parts(records: Sequence[StoredRecord]) -> dict[str | None, Part]:
    parts: dict[str | None, Part] = {}
    for record in records:
        parts.setdefault(_link(record), []).append(record)
    return parts


def _home(parts: dict[str | None, Part], changed: Sequence[StoredRecord]) -> str | None:
    """The link that keeps the person: one that nothing changed about, else the largest, else of the oldest record."""

    def weight(link: str) -> tuple[bool, int]:
        part = parts[link]
        return any(record not in changed for record in part), len(part)

    return max((link for link in parts if link is not None), key=weight, default=None)
