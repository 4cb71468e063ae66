"""What was known at an earlier moment, replayed from the events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import datetime
from itertools import takewhile

from mpi.domain.identity import KEPT_AS, Event, PersonState, StoredRecord
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import is_known
from mpi.errors import Gone, NotFound
from mpi.ports import IndexStore


def current_version(events: Iterable[Event], key: RecordKey) -> int | None:
    """The version of the record that was current after these events of it; None before the first."""
    found = None
    for event in events:
        if event.record == key and KEPT_AS not in event.detail:
            found = event.record_version
    return found


async def is_known_elsewhere(store: IndexStore, record: StoredRecord) -> bool:
    """Whether an index elsewhere holds, under the number of the record, the patient who has it here."""
    events = await store.record_events(record.key)
    return is_known(record, await store.versions(record.key), events)


async def all_events(store: IndexStore, mpi_id: str | None = None) -> AsyncIterator[Event]:
    """Everything that ever happened, or what touched that person, oldest first; read page by page."""
    after = 0
    while page := await store.events(after, mpi_id=mpi_id):
        for event in page:
            yield event
        after = page[-1].seq


async def history_of(store: IndexStore, mpi_id: str) -> tuple[Event, ...]:
    """Everything that ever touched a person, oldest first."""
    return tuple([event async for event in all_events(store, mpi_id)])


async def person_at(store: IndexStore, mpi_id: str, moment: datetime) -> PersonState:
    """The person that the id named at that moment, with the versions of its records that were current.

    Raises ``NotFound`` when the id was not given out yet, ``Gone`` when it was retired without an alias.
    """
    history = await history_of(store, mpi_id)
    # Up to the first later event: the sequence orders events, clocks of several processes may not.
    past = tuple(takewhile(lambda event: event.at <= moment, history))
    if not past:
        raise NotFound("the person did not exist at that time")
    held, survivor, active = replayed(past, mpi_id)
    if survivor is not None:
        return await person_at(store, survivor, moment)
    if not active:
        raise Gone("the person was retired at that time; its history remains")
    records = [await _version_at(store, key, past[-1].seq) for key in held]
    known = tuple(replace(r, mpi_id=mpi_id) for r in records if r is not None)
    return PersonState(mpi_id, len(past), active=True, records=known)


def replayed(past: Iterable[Event], mpi_id: str) -> tuple[list[RecordKey], str | None, bool]:
    """The records that the person held after these events, the person it was merged into, whether it lived."""
    held: dict[RecordKey, None] = {}
    survivor, active = None, True
    for event in past:
        for move in event.moves:
            if move.target == mpi_id:
                held[move.key] = None
            elif move.origin == mpi_id:
                held.pop(move.key, None)
        if mpi_id in event.revived:
            survivor, active = None, True
        retired = dict(event.retired)
        if mpi_id in retired:
            survivor, active = retired[mpi_id], False
    return list(held), survivor, active


async def _version_at(store: IndexStore, key: RecordKey, seq: int) -> StoredRecord | None:
    before = [event for event in await store.record_events(key) if event.seq <= seq]
    number = current_version(before, key)
    versions = await store.versions(key)
    found = next((v for v in versions if v.version == number), None)
    return None if found is None else replace(found, status=RecordStatus.ACTIVE)
