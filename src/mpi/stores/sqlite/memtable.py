"""New blocking keys in memory, as the log of them tells: the first stage of a log-structured merge tree.

A registration adds one row to ``blocking_log``. What the rows say is kept here, by every connection for itself, until
the keys have moved on to a table. See O'Neil et al., *The log-structured merge-tree* (1996), whose terms these are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mpi.stores.codec import decode_keys

GENERATION_KEYS = 48_000
"""Keys that come together before they move over: some 2,000 records, read again in 30 ms when a process starts."""
_LEAST_KEYS = 24
"""What a row of the log counts for at the least: it is to stay short also where few keys change, or go."""
_HALF_LEARNED = -1
"""In the place of a row's number while it is learned: what is known then is good for nothing."""
SPANS = 256
"""Parts of a generation, which move over one by one: those whose keys begin with the same eight bits."""

_STAGES = """SELECT (SELECT coalesce(max(seq), 0) FROM event),
    recent_keys, next_key, settled_seq, frozen_seq, next_span FROM tally"""
_SINCE = "SELECT seq, record, added, removed FROM blocking_log WHERE seq > ? ORDER BY seq"


@dataclass(frozen=True, slots=True)
class Stages:
    """How far keys have moved, as the ``tally`` of a snapshot tells.

    Of the log everything up to ``settled_seq`` has moved to ``blocking_recent``, from there up to ``frozen_seq`` the
    first ``next_span`` spans, and nothing of what came later. That table has ``recent_keys`` rows; those from
    ``next_key`` on leave it next.
    """

    recent_keys: int
    next_key: int
    settled_seq: int
    frozen_seq: int
    next_span: int

    @property
    def is_moving(self) -> bool:
        """Whether there is a frozen generation that has not moved as a whole."""
        return self.frozen_seq > self.settled_seq


class Generation:
    """The keys of consecutive rows of the log."""

    __slots__ = ("counted", "spans")

    def __init__(self) -> None:
        self.counted = 0
        # The records under the keys of each span. Tuples: most keys lead to one, and the garbage collector does not
        # walk them.
        self.spans: list[dict[int, tuple[int, ...]]] = [{} for _ in range(SPANS)]

    def add(self, record: int, keys: Iterable[int]) -> None:
        """Put a record under keys under which it is not."""
        for key in keys:
            records = self.spans[span_of(key)]
            records[key] = (*records.get(key, ()), record)

    def discard(self, record: int, keys: Iterable[int]) -> None:
        """Take a record from under those keys under which it is."""
        for key in keys:
            records = self.spans[span_of(key)]
            before = records.get(key, ())
            if record not in before:
                continue
            if len(before) == 1:
                del records[key]
            else:
                records[key] = tuple(other for other in before if other != record)

    def in_span(self, number: int) -> list[tuple[int, int]]:
        """Key and record of each row of a span, in the order of keys."""
        return [(key, r) for key, records in sorted(self.spans[number].items()) for r in records]


def span_of(key: int) -> int:
    """The span of a key, which is a number of 63 bits, in the order of keys."""
    return key >> 55 & (SPANS - 1)


class Memtable:
    """What a connection knows of the log: as much as the snapshot in which it has looked last.

    Rows that were added in a transaction are known as well, so a rollback has to :meth:`undo` it.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self, seq: int = 0) -> None:
        """Know nothing; the log is read from ``seq`` on when it is asked for."""
        self._live, self._frozen = Generation(), Generation()
        self._frozen_seq = self.last_seq = seq
        self._next_span = 0
        self._position = 0

    @property
    def is_full(self) -> bool:
        """Whether the generation that still grows has grown enough. That follows from its rows of the log alone."""
        return self._live.counted >= GENERATION_KEYS

    def is_due(self, stages: Stages) -> bool:
        """Whether to move a span: the frozen generation is gone when the other one has grown as large."""
        return stages.is_moving and self._live.counted * SPANS >= GENERATION_KEYS * (
            stages.next_span + 1
        )

    def undo(self, last_seq: int) -> None:
        """Follow a rollback to where ``last_seq`` was the last row that was known."""
        if self.last_seq != last_seq:
            self._forget()
        self._position = 0

    def catch_up(self, connection: sqlite3.Connection) -> Stages:
        """Learn what the snapshot that is open tells."""
        position, *counters = connection.execute(_STAGES).fetchone()
        stages = Stages(*counters)
        if position == self._position:
            return stages
        is_known = self._frozen_seq in (stages.frozen_seq, stages.settled_seq)
        if not is_known or self.last_seq == _HALF_LEARNED:
            # A generation has come and gone unseen, or a row was interrupted.
            self._forget(stages.settled_seq)
        for seq, record, added, removed in connection.execute(_SINCE, (self.last_seq,)):
            if seq > stages.frozen_seq:
                self._freeze(stages.frozen_seq)
            self.absorb(seq, record, decode_keys(added), decode_keys(removed))
        self.follow(stages)
        self._position = position
        return stages

    def follow(self, stages: Stages) -> None:
        """Learn what has moved, once all rows of the log are known."""
        self._freeze(stages.frozen_seq)
        self._next_span = stages.next_span
        if not stages.is_moving and self._frozen.counted:
            self._frozen = Generation()

    def _freeze(self, seq: int) -> None:
        if seq != self._frozen_seq:
            self._live, self._frozen, self._frozen_seq = Generation(), self._live, seq

    def absorb(
        self, seq: int, record: int, added: Collection[int], removed: Collection[int]
    ) -> None:
        """Learn one row of the log, the next one. Whatever interrupts it leaves nothing half learned."""
        self.last_seq = self._position = _HALF_LEARNED
        self._frozen.discard(record, removed)
        self._live.discard(record, removed)
        self._live.add(record, added)
        self._live.counted += max(len(added) + len(removed), _LEAST_KEYS)
        self.last_seq = self._position = seq

    def under(self, keys: Iterable[int]) -> list[int]:
        """Records under keys that are in no table of them; once for each key under which they are."""
        found: list[int] = []
        frozen, live = self._frozen.spans, self._live.spans
        for key in keys:
            span = span_of(key)
            if span >= self._next_span and key in frozen[span]:
                found += frozen[span][key]
            if key in live[span]:
                found += live[span][key]
        return found

    def leaving(self, span: int) -> list[tuple[int, int]]:
        """Key and record of each row of a span of the frozen generation."""
        return self._frozen.in_span(span)

    def rows(self) -> list[tuple[int, int]]:
        """Key and record of everything that is in no table of keys."""
        frozen = [
            row for span in range(self._next_span, SPANS) for row in self._frozen.in_span(span)
        ]
        return frozen + [row for span in range(SPANS) for row in self._live.in_span(span)]
