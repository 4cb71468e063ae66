"""What reverses an event as things stand, and what happened since that matters to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpi.domain.identity import (
    AssertionKind,
    Event,
    EventKind,
    PersonState,
    RecordMove,
    StoredRecord,
)
from mpi.domain.record import RecordKey
from mpi.service.decisions import Retired


@dataclass(frozen=True, slots=True)
class WayBack:
    """The moves that reverse an event as things stand, and the persons that they bring back or empty."""

    moves: tuple[RecordMove, ...]
    revive: tuple[str, ...]
    retire: Retired
    left: dict[str, PersonState]

    @property
    def keys(self) -> frozenset[RecordKey]:
        """The records that go back."""
        return frozenset(move.key for move in self.moves)

    def staying(self, mpi_id: str) -> list[StoredRecord]:
        """The records that stay in a person that others leave."""
        return [r for r in self.left[mpi_id].records if r.key not in self.keys]


def in_the_way(event: Event, later: Sequence[Event]) -> list[str]:
    """Later human decisions in force about the same records. A decision and its undoing cancel out."""
    known = {e.event_id for e in later}
    void: set[str] = set()
    found = []
    for e in sorted(later, key=lambda e: e.seq, reverse=True):
        if e.event_id in void:
            continue
        if e.undoes in known:
            void.add(e.undoes or "")
        elif e.is_human and _touches(event, e):
            found.append(e.event_id)
    return found[::-1]


def _touches(event: Event, later: Event) -> bool:
    """Whether a later decision moved the same records, said *same* of one, or is about the same pair or version."""
    moved = {move.key for move in event.moves}
    pairs = {a.pair for a in (*event.asserted, *event.lifted)}
    content = event.record if event.kind in (EventKind.TASK_DECIDED, EventKind.UNDONE) else None
    return (
        bool(moved & {move.key for move in later.moves})
        or any(a.kind is AssertionKind.SAME and moved & a.pair for a in later.asserted)
        or bool(pairs & {a.pair for a in (*later.asserted, *later.lifted)})
        or (content is not None and content == later.record)
    )


def arrivals(event: Event, later: Iterable[Event]) -> frozenset[RecordKey]:
    """Records that joined after the event: the first that moved them since took them from elsewhere."""
    joined = {move.target for move in event.moves}
    first: dict[RecordKey, RecordMove] = {}
    for e in later:
        for move in e.moves:
            first.setdefault(move.key, move)
    return frozenset(key for key, move in first.items() if move.origin not in joined)
