"""Which records lie under a blocking key, kept so that a registration changes few pages.

Keys are digests: the forty of one record fall on forty pages of a large table, and in a load nearly every page of it is
written again with every group of commits. So new keys go to a small table, and once that is full, a slice of it moves
over in the order of keys, where hundreds of rows share a page. Every read asks both tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

RECENT_KEYS = 1_000_000
"""Rows of the small table before they start to move over: some 20,000 records, 16 MB."""

NARROWED_FACTOR = 4
"""A narrowed block is read up to this many times the limit."""

_SLICE = 1_024
_LOWEST = -(1 << 63)

_UNDER_KEYS = """SELECT b.record FROM json_each(?1) j CROSS JOIN blocking_key b ON b.key = j.value
    UNION ALL
    SELECT b.record FROM json_each(?1) j CROSS JOIN blocking_recent b ON b.key = j.value
    LIMIT ?2"""
_UNDER_KEY = """SELECT record FROM blocking_key WHERE key = ?1
    UNION ALL SELECT record FROM blocking_recent WHERE key = ?1 LIMIT ?2"""
_SLICE_END = """SELECT key, record FROM blocking_recent WHERE key >= ?
    ORDER BY key, record LIMIT 1 OFFSET ?"""
_IN_SLICE = "FROM blocking_recent WHERE key >= ? AND (key, record) < (?, ?)"


@dataclass(frozen=True, slots=True)
class Recent:
    """Rows of the small table, and the key from which they move over next."""

    rows: int
    next_key: int


def members(
    connection: sqlite3.Connection,
    blocking_keys: Sequence[tuple[int, tuple[int, ...]]],
    limit: int,
) -> tuple[set[int], int]:
    """Records under the keys, and how many keys had to be narrowed."""
    rows = connection.execute(
        _UNDER_KEYS, (orjson.dumps([key for key, _ in blocking_keys]).decode(), limit + 1)
    ).fetchall()
    if len(rows) <= limit:
        # All blocks together hold no more than one may: nothing to narrow. This is the usual case.
        return {row[0] for row in rows}, 0
    found: set[int] = set()
    narrowed = 0
    for key, narrower in blocking_keys:
        block = _block(connection, key, limit + 1)
        if len(block) <= limit:
            found.update(block)
            continue
        narrowed += 1
        for narrow_key in narrower or (key,):
            found.update(_block(connection, narrow_key, limit * NARROWED_FACTOR))
    return found, narrowed


def _block(connection: sqlite3.Connection, key: int, limit: int) -> list[int]:
    return [row[0] for row in connection.execute(_UNDER_KEY, (key, limit)).fetchall()]


def exchange(
    connection: sqlite3.Connection,
    record: int,
    removed: Iterable[int],
    added: Iterable[int],
    recent: Recent,
) -> Recent:
    """Take a record from under some keys and put it under others. Moves a slice over when it is time."""
    rows, gone = recent.rows, [(key, record) for key in removed]
    if gone:
        connection.executemany("DELETE FROM blocking_key WHERE key = ? AND record = ?", gone)
        rows -= connection.executemany(
            "DELETE FROM blocking_recent WHERE key = ? AND record = ?", gone
        ).rowcount
    # Sorted: neighbours in the tree share a page.
    new = [(key, record) for key in sorted(added)]
    connection.executemany("INSERT INTO blocking_recent VALUES (?, ?)", new)
    recent = Recent(rows + len(new), recent.next_key)
    return _moved_over(connection, recent) if recent.rows > RECENT_KEYS else recent


def _moved_over(connection: sqlite3.Connection, recent: Recent) -> Recent:
    """Move the next slice in the order of keys; at the end of the table start from its beginning."""
    end = connection.execute(_SLICE_END, (recent.next_key, _SLICE)).fetchone()
    if end is None:
        return Recent(recent.rows, _LOWEST)
    span = (recent.next_key, *end)
    connection.execute(f"INSERT INTO blocking_key SELECT key, record {_IN_SLICE}", span)
    moved = connection.execute(f"DELETE {_IN_SLICE}", span).rowcount
    return Recent(recent.rows - moved, end[0])
