"""What verifying any store has in common: findings, and history against the present."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from mpi.domain.identity import Event
from mpi.domain.record import RecordKey


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken invariant: a stable code, and where."""

    code: str
    detail: str


DAMAGED = (ValueError, TypeError, LookupError, AttributeError)
"""What reading damaged data raises, whatever form it is kept in."""

UNASKED = "nobody_is_asked"
UNASKED_TEXT = (
    "a version of record {} waits for a steward, and no task asks about it alone; "
    "register that content again"
)

MOST_FINDINGS = 100
"""Of one check. More of one kind tell nobody anything new."""

Progress = Callable[[str, int, int], None]
"""Told the check that begins, its number and how many there are."""


class Past:
    """Who held what, after the events so far. Persons map to their survivor, None if active."""

    def __init__(self) -> None:
        self.holders: dict[RecordKey, str | None] = {}
        self.active: set[str] = set()
        self.aliases: dict[str, str | None] = {}

    def apply(self, event: Event) -> Iterator[str]:
        """Let an event happen; yields what cannot be."""
        for mpi_id in event.revived:
            if mpi_id in self.active:
                yield f"{event.event_id} revives {mpi_id}, which was active"
            self.aliases.pop(mpi_id, None)
            self.active.add(mpi_id)
        for move in event.moves:
            if self.holders.get(move.key) != move.origin:
                yield f"{event.event_id} takes a record from a person that did not hold it"
            self.holders[move.key] = move.target
            if move.target is not None and move.target not in self.aliases:
                self.active.add(move.target)
        for mpi_id, survivor in event.retired:
            if mpi_id not in self.active:
                yield f"{event.event_id} retires {mpi_id}, which was not active"
            self.active.discard(mpi_id)
            self.aliases[mpi_id] = survivor

    def compare_record(self, number: int, key: RecordKey, mpi_id: str | None) -> Iterator[str]:
        """A record of the present, each of them once."""
        if self.holders.pop(key, None) != mpi_id:
            yield f"record {number} belongs to another person than its events say"

    def missing_records(self) -> Iterator[str]:
        """What is left when every record has been compared."""
        missing = sum(holder is not None for holder in self.holders.values())
        if missing:
            yield f"{missing} records of the history are missing"

    def compare_person(self, mpi_id: str, survivor: str | None, *, active: bool) -> Iterator[str]:
        """A person of the present."""
        if active != (mpi_id in self.active) or survivor != self.aliases.get(mpi_id):
            yield f"{mpi_id} is not as its events left it"


def without_end(aliases: Mapping[int, int | None]) -> Iterator[int]:
    """Persons whose chain of aliases meets no end. ``aliases`` tells of every person whom it was merged into."""
    good: set[int] = set()
    for start in aliases:
        chain: list[int] = []
        here: int | None = start
        while here is not None and here not in good and here not in chain and here in aliases:
            chain.append(here)
            here = aliases[here]
        if here is None or here in good:
            good.update(chain)
        else:
            yield start
