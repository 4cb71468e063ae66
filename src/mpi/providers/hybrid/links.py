"""What Verato is known to have said of our records, and telling it of those in question that it does not know yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from mpi.domain.errand import Lane
from mpi.domain.identity import Candidate, StoredRecord, Told, Verdict
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import last_said
from mpi.matching.blocking import keys_beside
from mpi.ports import IndexStore
from mpi.providers.hybrid.shared_calls import SharedCalls
from mpi.providers.verato.links import NAME, known_as, told_by
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.outcome import CallOutcome

_MOST_RECORDS = 3
"""Records of one person in doubt that Verato is told of: more say little more, and cost a call each."""
_MOST_PERSONS = 3

_TOO_LATE = Told(NAME, CallOutcome.THROTTLED.value, answered=False)
"""What is said of a record that somebody else is still telling Verato of when nobody can wait any longer."""


class Links:
    """The link ids of our records, from the store's own history: nothing is asked for twice.

    ``unposted`` is the source whose records are never told to Verato.
    """

    def __init__(self, index: VeratoIndex, store: IndexStore, unposted: str) -> None:
        self._index = index
        self._store = store
        self._unposted = unposted
        self._calls = SharedCalls()

    def may_be_told(self, key: RecordKey) -> bool:
        """Whether Verato may be told of the record at all: who is only reserved here came from there."""
        return key.source not in (self._unposted, NAME)

    async def of(self, keys: Sequence[RecordKey]) -> dict[RecordKey, Told]:
        """What Verato said last of each record that it was told of."""
        heard = await asyncio.gather(*(self.heard(key) for key in keys))
        return {key: told for key, told in zip(keys, heard, strict=True) if told is not None}

    async def heard(self, key: RecordKey) -> Told | None:
        """What Verato said last of one record as it stands; None when it has said nothing yet."""
        current = await self._store.record(key)
        if current is None:
            return None
        return last_said(current, await self._store.record_events(key))

    async def introduce(
        self, persons: Sequence[Candidate], lane: Lane, deadline: float
    ) -> tuple[StoredRecord, ...]:
        """Tell Verato of the records of persons in doubt that it was never told of, until ``deadline``.

        Each comes back with what was said, also where that is no answer.
        """
        keys = [
            record.key
            for person in persons[:_MOST_PERSONS]
            for record in person.records[:_MOST_RECORDS]
            if self.may_be_told(record.key)
        ]
        known = await self.of(keys)
        posted = await asyncio.gather(
            *(self._posted_of(key, lane, deadline) for key in keys if key not in known)
        )
        return tuple(record for record in posted if record is not None)

    async def _posted_of(self, key: RecordKey, lane: Lane, deadline: float) -> StoredRecord | None:
        record = await self._store.record(key)
        if record is None or record.status is not RecordStatus.ACTIVE:
            return None
        return await self.post(record, lane, deadline, new=False)

    async def post(
        self,
        record: StoredRecord,
        lane: Lane,
        deadline: float,
        *,
        new: bool,
        again: bool = False,
    ) -> StoredRecord:
        """Tell Verato of a record, until ``deadline``; it comes back with what was said, under its link.

        Whoever tells of the same contents at the same time shares the call, unless it is told ``again``.
        """
        if again:
            self._calls.forget(record.key)

        async def ask() -> Told:
            within = deadline - monotonic()
            return told_by(await self._index.post(record, lane, new=new, within=within))

        told = await self._calls.told(record.key, record.digest, deadline, ask) or _TOO_LATE
        return known_as(record, told) if told.answered else replace(record, told=told)


def unheard(told: Told) -> Told:
    """That there was no answer, and why: what is said of a record that was not even sent."""
    return Told(told.provider, told.outcome, answered=False, asked=told.asked)


def kept_under_link(record: StoredRecord, current: StoredRecord) -> StoredRecord:
    """A new version under the link of the one before: Verato knows the registration, whatever it says by now."""
    return replace(record, blocking_keys=(*record.blocking_keys, *keys_beside(current)))


def verdicts(told: Told, known: dict[RecordKey, Told]) -> Told:
    """What was told, with what it means for the records that are known there."""
    if told.outcome not in (CallOutcome.LINKED, CallOutcome.NO_MATCH):
        return told
    said = tuple(
        Verdict(key, other.link_id == told.link_id)
        for key, other in known.items()
        if other.link_id is not None
    )
    return replace(told, verdicts=said)
