"""Errands as rows, the same in every store. A name says which errand it is: its kind and its records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from mpi.domain.errand import Errand, ErrandKind, Lane, LeasedErrand, Waiting
from mpi.domain.record import RecordKey
from mpi.stores.codec import decode_time, encode_time

NOBODY = 0
"""The time until which an errand is leased that is not."""


_FARTHEST = timedelta(days=1, hours=1)
"""No setting lets anything be leased or put off for longer than a day; clocks of two machines may differ a little."""


def farthest(now: datetime) -> datetime:
    """What is leased or due later than this was noted by a clock that was ahead: it is due at once.

    Else it would wait for as long as that clock was ahead.
    """
    return now + _FARTHEST


def name_of(errand: Errand) -> str:
    """Equal errands have equal names."""
    records = orjson.dumps([[key.source, key.source_id] for key in errand.records])
    return f"{errand.kind.value} {records.decode()}"


def row_of(errand: Errand, now: datetime) -> dict[str, Any]:
    """An errand that is queued for the first time."""
    return {
        "kind": errand.kind.value,
        "lane": errand.lane.value,
        "created_at": encode_time(now),
        "due_at": encode_time(errand.due_at or now),
        "attempts": 0,
        "reason": None,
        "mark": errand.mark,
        "lease": 0,
        "wanted": 1,
        "leased_until": NOBODY,
    }


def records_of(name: str) -> tuple[RecordKey, ...]:
    """The records that an errand of this name is about."""
    return tuple(RecordKey(*pair) for pair in orjson.loads(name.partition(" ")[2]))


def leased(name: str, row: Mapping[str, Any]) -> LeasedErrand:
    """An errand that was leased just now."""
    return LeasedErrand(
        Errand(
            ErrandKind(row["kind"]),
            records_of(name),
            Lane(row["lane"]),
            decode_time(row["due_at"]),
            row["mark"],
        ),
        created_at=decode_time(row["created_at"]),
        until=decode_time(row["leased_until"]),
        attempts=row["attempts"],
        reason=row["reason"],
        lease=row["lease"],
        wanted=row["wanted"],
    )


def waiting(kind: str, count: int, oldest: int, mark: str | None) -> Waiting:
    """What waits of one kind."""
    return Waiting(ErrandKind(kind), count, decode_time(oldest), mark)
