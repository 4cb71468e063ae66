"""What people decide here is told to an index elsewhere: that it agrees is looked after until it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from mpi.domain.errand import Errand, ErrandKind, Lane, LeasedErrand
from mpi.domain.identity import (
    NEW_PERSON,
    EventKind,
    IdentityChange,
    StoredRecord,
    Task,
    TaskKind,
    TaskStatus,
    Told,
)
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import is_accepted, told_in
from mpi.errors import ConcurrentChange, ProviderRefusal
from mpi.matching.blocking import blocking_keys
from mpi.ports import AskedLater, IndexStore, Outbox
from mpi.ports.elsewhere import Counterpart
from mpi.service.consequences import errands_of, introduced_along
from mpi.service.deleted import as_if_living, deleted_from
from mpi.service.history import is_known_elsewhere
from mpi.service.refusals import UNTOLD, ask_a_steward
from mpi.service.task_settlement import undecided_about

REFUSES = "refused_elsewhere"
"""Why a task asks a steward: the index elsewhere does not do what was decided here."""

LEFT = "leave"
"""The outcome of a task that leaves the difference as it is."""

_REPLACED = "replaced"
"""The detail of a task's event: source and number that another one was to replace there."""

_PASSES = 5
_MOST_BESIDE = 50
"""Records of one person that an alignment looks at beside those that are named: each is a call there."""
_MOST_ASSERTED = 200
"""Of two large persons kept apart: each record is a call there, and who moves is told of anyway."""


async def announced(
    store: IndexStore,
    change: IdentityChange,
    untold: frozenset[str],
    late: AskedLater | None = None,
) -> IdentityChange:
    """The change of a person's decision, with the errand to tell of it: to see that every record it is about is
    there with whom it is here.

    Beside the records that are decided about, these are one that stays where others leave and one that is there
    already where they go. The first of them keeps its place if two have to be parted. A version that becomes
    current is told, unless a provider that is asked ``late`` would not be told of it as a registration either.
    """
    moves = [move for move in change.moves if move.target is not None]
    moved = [move.key for move in moves]
    persons = [move.target for move in moves] + [move.origin for move in moves]
    errands = [*change.errands]
    # Of a move, who moves and one whom it leaves are enough: they are asserted apart from each other.
    said = () if change.kind is EventKind.MOVED else change.assertions
    pairs = [key for a in (*said, *change.lift) for key in (a.left, a.right)]
    asserted = list(dict.fromkeys(pairs))[:_MOST_ASSERTED]
    for update in change.task_updates:
        task = await store.task(update.task_id)
        if task is not None and update.status is TaskStatus.DECIDED and update.outcome != LEFT:
            asserted.append(task.record)
            persons += task.candidates
            errands += await _replacements(store, task)
            if task.reason == UNTOLD:
                errands.append(Errand(ErrandKind.POST, (task.record,), Lane.REAL_TIME))
    named = {*moved, *asserted}
    staying = [
        key for name in dict.fromkeys(persons) for key in await _one_of(store, name, named, untold)
    ]
    records = dict.fromkeys((*staying, *asserted, *moved))
    told = tuple(key for key in records if key.source not in untold)
    if len(told) > 1:
        errands.append(Errand(ErrandKind.ALIGN, told, Lane.REAL_TIME))
    content = change.record
    if content is not None and content.key.source not in untold:
        errands += await _about(store, change, content, late)
    return replace(change, errands=tuple(errands))


async def _replacements(store: IndexStore, task: Task) -> list[Errand]:
    """What is told anew when a refusal is decided about: the numbers that the record was to replace."""
    if task.kind is not TaskKind.PROVIDER:
        return []
    named = [
        e.detail[_REPLACED] for e in await store.record_events(task.record) if _REPLACED in e.detail
    ]
    keys = dict.fromkeys(RecordKey(source, number) for source, number in named)
    return [Errand(ErrandKind.RETIRE, (task.record, key), Lane.REAL_TIME) for key in keys]


async def _about(
    store: IndexStore, change: IdentityChange, content: StoredRecord, late: AskedLater | None
) -> tuple[Errand, ...]:
    """The errand about a version that a person chose, or rejected.

    One that becomes current does not know yet under which key the other index has the record; telling of it tells
    that as well. What was told of a version that is none after all is corrected by the current one.
    """
    if content.status is RecordStatus.ACTIVE:
        follow = Errand(ErrandKind.FOLLOW, (content.key,), Lane.REAL_TIME)
        return await _owed(store, change, content, late) or (follow,)
    events = await store.record_events(content.key)
    told = any(told_in(e) for e in events if e.record_version == content.version)
    rejected = content.status is RecordStatus.HISTORY and told
    return (Errand(ErrandKind.POST, (content.key,), Lane.REAL_TIME),) if rejected else ()


async def _owed(
    store: IndexStore, change: IdentityChange, content: StoredRecord, late: AskedLater | None
) -> tuple[Errand, ...]:
    """The errand to tell of a version that becomes current, unless it is the one last answered about.

    Where another version is known by its number, it may be another patient's: so it is told however clear it is.
    """
    events = await store.record_events(content.key)
    if is_accepted(content, await store.versions(content.key), events):
        return ()
    known = any(told_in(event) for event in events if event.record == content.key)
    if known or late is None:
        return (Errand(ErrandKind.POST, (content.key,), Lane.REAL_TIME),)
    current = await store.record(content.key)
    home = await store.person((current and current.mpi_id) or "")
    if home is not None and any(move.key == content.key for move in change.moves):
        home = replace(home, records=())  # it leaves them, so they are not its company
    found = await late.resolve(content, blocking_keys(content.standard), home)
    return errands_of(content.key, found)


async def _one_of(
    store: IndexStore, mpi_id: str | None, named: Set[RecordKey], untold: frozenset[str]
) -> list[RecordKey]:
    """A record of the person beside those that are named, if there is one."""
    if mpi_id is None or mpi_id == NEW_PERSON:
        return []
    person = await store.person(mpi_id)
    staying = [
        record.key
        for record in (person.records if person else ())
        if record.key not in named and record.key.source not in untold
    ]
    return staying[:1]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Runs the errands by which an index elsewhere is brought to agree."""

    store: IndexStore
    outbox: Outbox
    counterpart: Counterpart
    clock: Callable[[], datetime]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def align(self, leased: LeasedErrand) -> None:
        """Until nothing is left to change: what is decided meanwhile counts too. A refusal becomes a task.

        One at a time: two about the same records would each do what the other has done.
        """
        async with self.turn:
            await self._align(leased.errand.records)

    async def _align(self, named: Sequence[RecordKey]) -> None:
        records: tuple[StoredRecord, ...] = ()
        try:
            for _ in range(_PASSES):
                records = await self._known(named)
                if len(records) < 2 or not await self.counterpart.align(records):
                    break
            else:
                raise ConcurrentChange("the records keep changing hands")
        except ProviderRefusal:
            living = [record for record in records if record.status is RecordStatus.ACTIVE]
            await self._ask([record for record in living if record.key in named] or living)
            return
        keys = tuple(r.key for r in records if r.status is RecordStatus.ACTIVE)
        await self.outbox.queue([Errand(ErrandKind.FOLLOW, keys, Lane.REAL_TIME)])

    async def retire(self, leased: LeasedErrand) -> None:
        """Replace a number there as well, unless it is in use again. A refusal becomes a task."""
        key, retired = leased.errand.records
        async with self.turn:
            await self._retire(key, retired)

    async def _retire(self, key: RecordKey, retired: RecordKey) -> None:
        kept, gone = await self.store.record(key), await self.store.record(retired)
        if kept is None or gone is None or gone.mpi_id is not None:
            return
        said = await self._said(gone)
        if not said:
            return
        try:
            if any(told.accepted for told in said):
                await self._check_known(gone)
            await self._check_known(kept)
            await self.counterpart.retire(kept, retired)
        except ProviderRefusal:
            named = {_REPLACED: [retired.source, retired.source_id]}
            await self._ask(await self._as_they_are((key,)), named)
            return
        await self.outbox.queue([Errand(ErrandKind.FOLLOW, (key,), Lane.REAL_TIME)])

    async def _known(self, keys: Sequence[RecordKey]) -> tuple[StoredRecord, ...]:
        """The records as they are, and those with whom they are by now: of those that were named some may have left.

        But for those that it does not take as they are: a steward is asked about them.
        """
        named = await self._as_they_are(keys)
        found = [record for record in named if await self._is_taken(record)]
        persons = dict.fromkeys(record.mpi_id or "" for record in named)
        for mpi_id in persons:
            found += await self._company(mpi_id, keys, found)
        return (*found, *await self._deleted(keys, persons))

    async def _deleted(
        self, named: Sequence[RecordKey], persons: Iterable[str]
    ) -> list[StoredRecord]:
        """The deleted records of several persons, which may have to be parted: there they are still somebody's."""
        found = await self._as_if_living(named)
        involved = {*persons, *(record.mpi_id or "" for record in found)}
        if len(involved) < 2:
            return []
        others = [key for key in await deleted_from(self.store, involved) if key not in named]
        found += await self._as_if_living(others)
        told = [r for r in found if r.mpi_id in involved and r.key.source not in self._untold]
        return [record for record in told if await self._is_known(record)]

    async def _as_if_living(self, keys: Iterable[RecordKey]) -> list[StoredRecord]:
        found = [await as_if_living(self.store, key) for key in keys]
        return [record for record in found if record is not None]

    @property
    def _untold(self) -> frozenset[str]:
        return self.counterpart.untold

    async def _company(
        self, mpi_id: str, named: Sequence[RecordKey], taken: Sequence[StoredRecord]
    ) -> list[StoredRecord]:
        """The other records of a person that are known there; for one that is there alone, another is told of."""
        person = await self.store.person(mpi_id)
        others = [
            record
            for record in (person.records if person else ())
            if record.key not in named and record.key.source not in self._untold
        ][:_MOST_BESIDE]
        known = [record for record in others if await self._is_known(record)]
        if known or sum(record.mpi_id == mpi_id for record in taken) > 1:
            return known
        return [record for record in others[:1] if await self._is_taken(record)]

    async def _is_taken(self, record: StoredRecord) -> bool:
        """Whether it takes the record as it is, and is told if need be."""
        if await self._is_asked_about(record):
            return False
        try:
            await self._check_known(record)
        except ProviderRefusal:
            name, now = self.counterpart.name, self.clock()
            await ask_a_steward(self.store, (record,), UNTOLD, name, now)
            return False
        return True

    async def _is_asked_about(self, record: StoredRecord) -> bool:
        """Whether a steward has yet to say who has the number: deciding that tells of it, and brings it to agree."""
        if await self._is_known(record):
            return False
        tasks = await undecided_about(self.store, record)
        return any(task.kind is TaskKind.OVERLAY or task.reason == UNTOLD for task in tasks)

    async def _check_known(self, record: StoredRecord) -> None:
        """Whom a number stood for before is not put together or taken apart instead of whom it names: he is told first.

        Raises ``ProviderRefusal`` where the other index keeps somebody else under the number.
        """
        if await self._is_known(record):
            return
        if record.mpi_id is None:
            raise ProviderRefusal("another patient had the number there before it was deleted")
        post = Errand(ErrandKind.POST, (record.key,))
        is_waiting = await self.outbox.lane_of(post) is Lane.REAL_TIME
        if is_waiting and await self._said(record):
            raise ConcurrentChange("the record is being told first")
        position = await self.store.position()
        if await self.store.record(record.key) != record:
            raise ConcurrentChange("the record changed meanwhile")
        told = await self.counterpart.tell(record)
        heard = replace(record, along=(told,), received_at=self.clock())
        await self.store.commit(*await introduced_along(self.store, heard, position))

    async def _is_known(self, record: StoredRecord) -> bool:
        return await is_known_elsewhere(self.store, record)

    async def _said(self, record: StoredRecord) -> list[Told]:
        """What became of telling of the number, ever."""
        events = await self.store.record_events(record.key)
        return [told for told in map(told_in, events) if told is not None]

    async def _as_they_are(self, keys: Iterable[RecordKey]) -> tuple[StoredRecord, ...]:
        found = [await self.store.record(key) for key in keys]
        return tuple(r for r in found if r is not None and r.mpi_id is not None)

    async def _ask(
        self, records: Sequence[StoredRecord], named: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """A steward has to settle it there, or decide otherwise here."""
        now = self.clock()
        await ask_a_steward(self.store, records, REFUSES, self.counterpart.name, now, named)
