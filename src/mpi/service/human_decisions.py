"""What people have decided about records, as far as it is in force: it outranks whatever a provider says."""

from __future__ import annotations

from collections.abc import Set

from mpi.domain.identity import AssertionKind, Event
from mpi.domain.record import RecordKey
from mpi.ports import IndexStore
from mpi.service.history import history_of, replayed


async def decisions_about(store: IndexStore, keys: Set[RecordKey]) -> list[Event]:
    """The events by which people moved the records, without those that were undone: persons may have become others
    since."""
    found = {e.seq: e for key in sorted(keys) for e in await store.record_events(key)}
    return [e for e in found.values() if e.is_human and e.undone_by is None]


async def joined_by_people(
    store: IndexStore, leaving: Set[RecordKey], staying: Set[RecordKey]
) -> bool:
    """Whether people have put some that leave a person together with some that stay."""
    said = await store.assertions(sorted(leaving))
    if any(a.kind is AssertionKind.SAME and a.joins(leaving, staying) for a in said):
        return True
    for event in await decisions_about(store, leaving | staying):
        for target in {move.target for move in event.moves if move.target is not None}:
            came = {move.key for move in event.moves if move.target == target}
            there = await _held_then(store, event, target, leaving | staying) - came
            if (leaving & came and staying & there) or (leaving & there and staying & came):
                return True
    return False


async def _held_then(
    store: IndexStore, event: Event, mpi_id: str, here: Set[RecordKey]
) -> Set[RecordKey]:
    """Whom of those ``here`` the person held when it was decided who joins it.

    If all of them are gone, under numbers that were replaced perhaps, whoever is here stands for them.
    """
    history = await history_of(store, mpi_id)
    held, *_ = replayed([each for each in history if each.seq < event.seq], mpi_id)
    return (here & {*held} or here) if held else frozenset()
