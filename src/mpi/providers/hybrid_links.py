"""What Verato is known to have said of our records, and telling it of those in question that it does not know yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic

from mpi.domain.errand import Lane
from mpi.domain.identity import Candidate, StoredRecord, Told, Verdict
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import told_in
from mpi.matching.blocking import keys_beside
from mpi.ports import IndexStore
from mpi.providers.verato_links import NAME, known_as, told_by
from mpi.providers.verato_operations import VeratoIndex
from mpi.providers.verato_outcome import CallOutcome

_MOST_RECORDS = 3
"""Records of one person in doubt that Verato is told of: more say little more, and cost a call each."""
_MOST_PERSONS = 3

_TOO_LATE = Told(NAME, CallOutcome.THROTTLED.value, answered=False)
"""What is said of a record that somebody else is still telling Verato of when nobody can wait any longer."""


_STORED_WITHIN_S = 10.0
"""How long an answer is remembered here: until then its commit has come through, and the store's history tells."""


@dataclass(frozen=True, slots=True)
class _Posting:
    """What Verato says, or will say, of a registration with such contents."""

    digest: bytes
    told: asyncio.Task[Told]


class Links:
    """The link ids of our records, from the store's own history: nothing is asked for twice.

    ``unposted`` is the source whose records are never told to Verato.
    """

    def __init__(self, index: VeratoIndex, store: IndexStore, unposted: str) -> None:
        self._index = index
        self._store = store
        self._unposted = unposted
        self._posting: dict[RecordKey, _Posting] = {}

    def may_be_told(self, key: RecordKey) -> bool:
        """Whether Verato may be told of the record at all: who is only reserved here came from there."""
        return key.source not in (self._unposted, NAME)

    async def of(self, keys: Sequence[RecordKey]) -> dict[RecordKey, Told]:
        """What Verato said last of each record that it was told of."""
        heard = await asyncio.gather(*(self.heard(key) for key in keys))
        return {key: told for key, told in zip(keys, heard, strict=True) if told is not None}

    async def heard(self, key: RecordKey) -> Told | None:
        """What Verato said last of one record; None when it has said nothing yet."""
        for event in reversed(await self._store.record_events(key)):
            told = told_in(event) if event.record == key else None
            if told is not None and told.answered:
                return told
        return None

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
        self, record: StoredRecord, lane: Lane, deadline: float, *, new: bool
    ) -> StoredRecord:
        """Tell Verato of a record, until ``deadline``; it comes back with what was said, under its link.

        Whoever tells of the same registration meanwhile, or before the store knows what was said, shares the call, each
        until a deadline of their own.
        """
        posting = self._posting.get(record.key)
        if posting is None or posting.digest != record.digest:
            told = asyncio.create_task(self._asked(record, lane, deadline, new=new))
            posting = self._posting[record.key] = _Posting(record.digest, told)
            told.add_done_callback(partial(self._answered, record.key, posting))
            await asyncio.wait([told])
        else:
            await asyncio.wait([posting.told], timeout=deadline - monotonic())
        answer = posting.told.result() if posting.told.done() else _TOO_LATE
        return known_as(record, answer) if answer.answered else replace(record, told=answer)

    async def _asked(self, record: StoredRecord, lane: Lane, deadline: float, *, new: bool) -> Told:
        within = deadline - monotonic()
        return told_by(await self._index.post(record, lane, new=new, within=within))

    def _answered(self, key: RecordKey, posting: _Posting, told: asyncio.Task[Told]) -> None:
        # Asking for the exception counts as having seen it, whether anybody still waits or not.
        if told.cancelled() or told.exception() or told.result().link_id is None:
            self._forget(key, posting)
        else:
            told.get_loop().call_later(_STORED_WITHIN_S, self._forget, key, posting)

    def _forget(self, key: RecordKey, posting: _Posting) -> None:
        if self._posting.get(key) is posting:
            del self._posting[key]


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
