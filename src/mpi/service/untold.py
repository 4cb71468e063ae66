"""Records that an index elsewhere was never told of, because another provider resolved them: queued to be told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.identity import EventKind
from mpi.domain.record import RecordKey
from mpi.domain.told import told_in
from mpi.ports import IndexStore, Outbox
from mpi.ports.elsewhere import Counterpart
from mpi.service.history import all_events

_TOGETHER = 1_000


@dataclass(frozen=True, slots=True)
class Queued:
    """What a search for untold records came to. ``queued`` counts those that did not wait already."""

    records: int
    told_before: int
    queued: int


async def queue_untold(
    store: IndexStore,
    outbox: Outbox,
    counterpart: Counterpart,
    progress: Callable[[int], None] = lambda _records: None,
) -> Queued:
    """Queue every active record of which no event says that it was told. Repeating it queues nothing twice.

    What got no answer was not told, nor what was told before a deletion: of another patient, perhaps. ``progress``
    hears how many records were looked at. Holds the names of all told records in memory.
    """
    told = await _told(store, counterpart.name)
    records = known = queued = 0
    waiting: list[Errand] = []
    async with aclosing(store.crosswalk()) as crosswalk:
        async for key, _ in crosswalk:
            records += 1
            if key in told:
                known += 1
            elif key.source not in counterpart.untold:
                waiting.append(Errand(ErrandKind.POST, (key,)))
            if len(waiting) == _TOGETHER:
                queued += await outbox.queue(waiting)
                waiting = []
                progress(records)
    queued += await outbox.queue(waiting)
    progress(records)
    return Queued(records, known, queued)


async def _told(store: IndexStore, provider: str) -> set[RecordKey]:
    found: set[RecordKey] = set()
    async for event in all_events(store):
        if event.kind is EventKind.DELETED and event.record is not None:
            found.discard(event.record)
        told = told_in(event)
        if event.record is not None and told and told.answered and told.provider == provider:
            found.add(event.record)
    return found
