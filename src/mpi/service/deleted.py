"""Deleted registrations, which an index elsewhere still has: with whom they would be by now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordKey
from mpi.ports import IndexStore
from mpi.service.history import all_events
from mpi.service.lookup import end_of_aliases


async def as_if_living(store: IndexStore, key: RecordKey) -> StoredRecord | None:
    """A deleted record with the person where the last event that stands had put it; None if it is not deleted."""
    record = await store.record(key)
    if record is None or record.mpi_id is not None:
        return None
    places = [
        move.target
        for event in await store.record_events(key)
        if event.undone_by is None
        for move in event.moves
        if move.key == key and move.target is not None
    ]
    person = await end_of_aliases(store, places[-1]) if places else None
    return None if person is None else replace(record, mpi_id=person.mpi_id)


async def deleted_from(store: IndexStore, persons: Iterable[str]) -> list[RecordKey]:
    """What was registered for one of these persons and deleted, be it registered anew by now."""
    found = dict.fromkeys(
        [
            move.key
            for mpi_id in persons
            async for event in all_events(store, mpi_id)
            for move in event.moves
            if move.target is None
        ]
    )
    return list(found)
