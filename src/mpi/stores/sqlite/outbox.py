"""The outbox in SQLite: one row for each errand that waits; and how many calls elsewhere were spent."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from mpi.domain.errand import Errand, Lane, LeasedErrand, Waiting
from mpi.stores.codec import encode_time
from mpi.stores.errands import farthest, leased, name_of, row_of, waiting
from mpi.stores.sqlite.schema import get_meta, set_meta
from mpi.stores.transfer import TABLES

_QUEUE = """INSERT INTO errand VALUES (:name, :kind, :lane, :created_at, :due_at, :attempts, :reason, :mark,
    :lease, :wanted, :leased_until) ON CONFLICT (name) DO UPDATE SET wanted = wanted + 1,
    lane = min(lane, excluded.lane), due_at = min(due_at, excluded.due_at) RETURNING wanted"""
ANY_DUE = """SELECT 1 FROM errand WHERE lane <= :lane AND due_at NOT BETWEEN :now + 1 AND :farthest
    AND leased_until NOT BETWEEN :now + 1 AND :farthest LIMIT 1"""
LANE = "SELECT lane FROM errand WHERE name = ?"
_LEASE = """UPDATE errand SET lease = lease + 1, leased_until = :until WHERE name IN
    (SELECT name FROM errand WHERE lane <= :lane AND due_at NOT BETWEEN :now + 1 AND :farthest
    AND leased_until NOT BETWEEN :now + 1 AND :farthest ORDER BY lane, due_at, name LIMIT :limit) RETURNING *"""
_FORGET = """DELETE FROM errand
    WHERE name = :name AND lease = :lease AND leased_until <> 0 AND wanted = :wanted"""
_ONCE_MORE = """UPDATE errand SET leased_until = 0, attempts = 0, reason = NULL, wanted = 1
    WHERE name = :name AND lease = :lease AND leased_until <> 0"""
_RENEW = """UPDATE errand SET leased_until = :until
    WHERE name = :name AND lease = :lease AND leased_until <> 0"""
_PUT_OFF = """UPDATE errand SET leased_until = 0, reason = :reason,
    due_at = CASE WHEN wanted = :wanted THEN :due_at ELSE min(due_at, :due_at) END,
    mark = coalesce(:mark, mark), attempts = CASE WHEN :mark IS NULL THEN attempts + :failed ELSE 0 END
    WHERE name = :name AND lease = :lease AND leased_until <> 0"""


def queue(connection: sqlite3.Connection, errands: Iterable[Errand], now: datetime) -> int:
    """See :meth:`mpi.ports.Outbox.queue`; within the open transaction."""
    new = 0
    for errand in errands:
        values = row_of(errand, now) | {"name": name_of(errand)}
        (wanted,) = connection.execute(_QUEUE, values).fetchone()
        new += wanted == 1
    return new


def lookup(lane: Lane, now: datetime) -> dict[str, Any]:
    """What to look for with :data:`ANY_DUE`: reading keeps no writer out."""
    return {
        "lane": lane.value,
        "now": encode_time(now),
        "farthest": encode_time(farthest(now)),
    }


def lease(
    connection: sqlite3.Connection, lane: Lane, now: datetime, length: timedelta, limit: int
) -> tuple[LeasedErrand, ...]:
    """See :meth:`mpi.ports.Outbox.due`."""
    wanted = lookup(lane, now) | {"until": encode_time(now + length), "limit": limit}
    found = connection.execute(_LEASE, wanted).fetchall()
    rows = [dict(zip(TABLES["errand"], row, strict=True)) for row in found]
    rows.sort(key=lambda row: (row["lane"], row["due_at"], row["name"]))
    return tuple(leased(row["name"], row) for row in rows)


def renew(
    connection: sqlite3.Connection, errand: LeasedErrand, now: datetime, length: timedelta
) -> bool:
    """See :meth:`mpi.ports.Outbox.renew`."""
    values = _ours(errand) | {"until": encode_time(now + length)}
    return connection.execute(_RENEW, values).rowcount > 0


def done(connection: sqlite3.Connection, errand: LeasedErrand) -> bool:
    """See :meth:`mpi.ports.Outbox.done`."""
    if connection.execute(_FORGET, _ours(errand)).rowcount > 0:
        return True
    return connection.execute(_ONCE_MORE, _ours(errand)).rowcount > 0


def later(
    connection: sqlite3.Connection,
    errand: LeasedErrand,
    due_at: datetime,
    reason: str | None,
    mark: str | None,
    *,
    failed: bool,
) -> bool:
    """See :meth:`mpi.ports.Outbox.later`."""
    values = {"due_at": encode_time(due_at), "reason": reason, "mark": mark, "failed": failed}
    return connection.execute(_PUT_OFF, _ours(errand) | values).rowcount > 0


def _ours(errand: LeasedErrand) -> dict[str, Any]:
    return {"name": name_of(errand.errand), "lease": errand.lease, "wanted": errand.wanted}


def count(connection: sqlite3.Connection) -> tuple[Waiting, ...]:
    """See :meth:`mpi.ports.Outbox.waiting`."""
    rows = connection.execute(
        "SELECT kind, count(*), min(created_at), min(mark) FROM errand GROUP BY kind ORDER BY kind"
    )
    return tuple(waiting(*row) for row in rows)


def spend(connection: sqlite3.Connection, name: str, calls: int, most: int) -> tuple[int, int]:
    """See :meth:`mpi.ports.CallLedger.spend`; ``name`` is that of the counter."""
    spent = int(get_meta(connection, name) or b"0")
    granted = min(calls, max(0, most - spent))
    set_meta(connection, name, b"%d" % (spent + granted))
    return granted, spent + granted
