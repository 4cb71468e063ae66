"""Which records lie under a blocking key, kept so that a registration changes few pages.

Keys are digests: the two dozen of one record fall on as many pages of a large table, and in a load nearly every page
of it is written again with every group of commits. So new keys go to a small table, and once that is full, a slice of
it moves over in the order of keys, where hundreds of rows share a page. Every read asks both tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from mpi.matching.blocking import NARROWED_FACTOR, BlockingKeys

RECENT_KEYS = 1_000_000
"""Rows of the small table before they start to move over: some 40,000 records, 19 MB."""

_SLICE = 1_024
_LOWEST = -(1 << 63)

_UNDER_KEYS = """SELECT b.record FROM json_each(?1) j CROSS JOIN blocking_key b ON b.key = j.value
    UNION ALL
    SELECT b.record FROM json_each(?1) j CROSS JOIN blocking_recent b ON b.key = j.value
    LIMIT ?2"""
_ALL_UNDER_KEYS = """SELECT b.record FROM json_each(?1) j CROSS JOIN blocking_key b ON b.key = j.value
    UNION
    SELECT b.record FROM json_each(?1) j CROSS JOIN blocking_recent b ON b.key = j.value"""
_UNDER_KEY = """SELECT record FROM blocking_key WHERE key = ?1
    UNION ALL SELECT record FROM blocking_recent WHERE key = ?1 LIMIT ?2"""
# Counted where the rows lie: a block that is too large is not fetched to find out.
_LARGER_THAN = """SELECT j.value FROM json_each(?1) j
    WHERE ?2 < (SELECT count(*) FROM (SELECT 1 FROM blocking_key WHERE key = j.value LIMIT ?2 + 1))
        + (SELECT count(*) FROM (SELECT 1 FROM blocking_recent WHERE key = j.value LIMIT ?2 + 1))"""
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
    blocking_keys: BlockingKeys,
    limit: int,
) -> tuple[set[int], int]:
    """Records under the keys, and how many keys had to be narrowed."""
    rows = connection.execute(
        _UNDER_KEYS, (_listed(key for key, _ in blocking_keys), limit + 1)
    ).fetchall()
    if len(rows) <= limit:
        # All blocks together hold no more than one may: nothing to narrow. This is the usual case.
        return {row[0] for row in rows}, 0
    narrower = dict(blocking_keys)
    large = _larger_than(connection, narrower, limit)
    small = [key for key in narrower if key not in large]
    # Many keys share their narrower ones.
    narrow = {near for key in large for near in narrower[key] or (key,)}
    capped = _larger_than(connection, narrow, limit * NARROWED_FACTOR)
    found = {
        row[0]
        for row in connection.execute(_ALL_UNDER_KEYS, (_listed([*small, *(narrow - capped)]),))
    }
    for key in capped:
        found.update(
            row[0] for row in connection.execute(_UNDER_KEY, (key, limit * NARROWED_FACTOR))
        )
    return found, len(large)


def _larger_than(connection: sqlite3.Connection, keys: Iterable[int], limit: int) -> set[int]:
    return {row[0] for row in connection.execute(_LARGER_THAN, (_listed(keys), limit))}


def _listed(keys: Iterable[int]) -> str:
    return orjson.dumps(list(keys)).decode()


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
