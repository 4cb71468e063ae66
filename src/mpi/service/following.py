"""What changes at an index elsewhere is followed here, unless people have decided otherwise: then it is a task.

What it tells is only taken for a hint to look. So it may come late, twice or in any order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mpi.domain.errand import Errand, ErrandKind, LeasedErrand
from mpi.domain.identity import PersonState, StoredRecord
from mpi.domain.record import RecordKey
from mpi.errors import ConcurrentChange, ProviderRefusal
from mpi.matching.blocking import keys_beside, stored_keys
from mpi.ports import IndexStore, Outbox
from mpi.ports.elsewhere import Counterpart
from mpi.service.history import is_known_elsewhere
from mpi.service.outbox import Again
from mpi.service.rearrangement import Rearrangement
from mpi.service.refusals import UNTOLD, ask_a_steward

_TRIES = 5
_SPAN = timedelta(hours=6)
"""How much of what was missed is read at a time: what was read stays so when the next part fails."""
_SHORTEST_SPAN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Following:
    """Runs the errands by which our index follows another.

    Every ``interval`` it is asked what has changed, each time for what it told ``overlap`` before as well: what
    has happened may be told late.
    """

    store: IndexStore
    outbox: Outbox
    counterpart: Counterpart
    clock: Callable[[], datetime]
    interval: timedelta
    overlap: timedelta

    async def begin(self) -> None:
        """See that somebody listens, from now on if nobody did before. Safe to repeat."""
        await self.outbox.queue([Errand(ErrandKind.LISTEN, mark=self.clock().isoformat())])

    async def listen(self, leased: LeasedErrand) -> Again:
        """Queue a look at every person of whom something was told that is not known here."""
        now = self.clock()
        since = datetime.fromisoformat(leased.errand.mark or now.isoformat())
        # Where much has changed at once, half as much is read after each failure: it may have been too much.
        until = min(now, since + max(_SPAN / 2**leased.attempts, _SHORTEST_SPAN))
        told = await self.counterpart.changes(since - self.overlap, until + self.overlap)
        persons: dict[str, list[RecordKey]] = defaultdict(list)
        for key, link in told.moved.items():
            record = await self.store.record(key)
            if record is not None and record.mpi_id and link not in record.blocking_keys:
                persons[record.mpi_id].append(key)
        for mpi_id, key in await self._reserved(told.left):
            persons[mpi_id].append(key)
        await self.outbox.queue(
            [Errand(ErrandKind.FOLLOW, tuple(sorted(keys))) for keys in persons.values()]
        )
        return Again(self.interval if until == now else timedelta(0), until.isoformat())

    async def _reserved(self, left: Iterable[int]) -> list[tuple[str, RecordKey]]:
        """Who is only reserved here under one of these keys, with the record that stands for him."""
        found = set()
        for link in left:
            around = await self.store.candidates([(link, ())])
            named = [(p.mpi_id, r.key) for p in around.persons for r in p.records]
            for mpi_id, key in named:
                record = (
                    await self.store.record(key) if key.source == self.counterpart.name else None
                )
                if record is not None and link in record.blocking_keys:
                    found.add((mpi_id, key))
        return sorted(found)

    async def follow(self, leased: LeasedErrand) -> None:
        """See whom the records, and those that they share a person with, belong to there."""
        wanted = set(leased.errand.records)
        while wanted:
            wanted -= await self._settle(wanted.pop(), {}, leased.errand.records)

    async def post(self, leased: LeasedErrand) -> None:
        """Tell of a record as it stands, and see whom it belongs to there. A refusal becomes a task."""
        (key,) = leased.errand.records
        record = await self.store.record(key)
        if record is None or record.mpi_id is None or key.source in self.counterpart.untold:
            return
        try:
            told = await self.counterpart.tell(record)
        except ProviderRefusal:  # it would be refused each time, unless somebody mends it
            name = self.counterpart.name
            await ask_a_steward(self.store, (record,), UNTOLD, name, self.clock())
            return
        if (now := await self.store.record(key)) is None or now.digest != record.digest:
            raise ConcurrentChange("the record changed while it was told")
        await self._settle(key, {key: told}, ())

    async def _settle(
        self, key: RecordKey, told: Mapping[RecordKey, StoredRecord], asked: Iterable[RecordKey]
    ) -> set[RecordKey]:
        """Rearrange the person that holds the record by now; returns the records that it had."""
        for _ in range(_TRIES):
            record = await self.store.record(key)
            if record is None or record.mpi_id is None:
                return set()
            person = await self.store.person(record.mpi_id)
            if person is None or not person.active:
                continue
            located = await self._located(person, told, set(asked))
            try:
                async with self.store.group():
                    await self._unchanged(person)
                    work = Rearrangement(
                        self.store, person, located, self.counterpart.name, self.clock()
                    )
                    await work.apply()
            except ConcurrentChange:
                continue
            return {record.key for record in located}
        raise ConcurrentChange("the person keeps changing")

    async def _located(
        self, person: PersonState, told: Mapping[RecordKey, StoredRecord], asked: set[RecordKey]
    ) -> Sequence[StoredRecord]:
        """The records of the person under the links that they have there. Of whom it never heard it is not asked."""
        wanted = [
            record
            for record in person.records
            if record.key not in told and (record.key in asked or keys_beside(record))
            if await self._is_known(record)
        ]
        found = {r.key: r for r in await self.counterpart.locate(wanted)} | dict(told)
        return [
            _linked_as(record, found[record.key]) if record.key in found else record
            for record in person.records
        ]

    async def _is_known(self, record: StoredRecord) -> bool:
        """Whether what is there is what is current here: else it is followed once it is told, or decided about."""
        if await self.outbox.lane_of(Errand(ErrandKind.POST, (record.key,))) is not None:
            return False
        return await is_known_elsewhere(self.store, record)

    async def _unchanged(self, person: PersonState) -> None:
        now = await self.store.person(person.mpi_id)
        if now is None or now.version != person.version:
            raise ConcurrentChange("the person changed meanwhile")


def _linked_as(record: StoredRecord, told: StoredRecord) -> StoredRecord:
    """The record as it stands, under the link that was told: perhaps of a version before."""
    keys = (*stored_keys(record.standard), *keys_beside(told))
    return replace(record, told=told.told, blocking_keys=keys)
