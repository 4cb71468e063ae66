"""Which records lie under a blocking key, kept so that a registration changes few pages.

Keys are digests: the two dozen of one record fall on as many pages of any table, each of which would be written with
every commit. So they go the way of a log-structured merge tree: one row in a log, whose content every connection
keeps in memory (:mod:`mpi.stores.sqlite.memtable`); from there to a small table, and from that to the large one, each
time in the order of keys, where many rows share a page. Every read asks all three.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import orjson

from mpi.matching.blocking import NARROWED_FACTOR, BlockingKeys
from mpi.stores.codec import encode_keys
from mpi.stores.sqlite.memtable import SPANS, Stages
from mpi.stores.sqlite.schema import Connection

RECENT_KEYS = 1_000_000
"""Rows of the small table before they start to move over: some 40,000 records, 19 MB."""

_SLICE = 256
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
# Counted where the rows lie: a block that is too large is not fetched to find out. [key, rows that it may have there].
_LARGER_THAN = """SELECT key FROM (SELECT json_extract(value, '$[0]') AS key, json_extract(value, '$[1]') AS most
        FROM json_each(?1)) x
    WHERE most < (SELECT count(*) FROM (SELECT 1 FROM blocking_key b WHERE b.key = x.key LIMIT ?2 + 1))
        + (SELECT count(*) FROM (SELECT 1 FROM blocking_recent b WHERE b.key = x.key LIMIT ?2 + 1))"""
_KEEP = """UPDATE tally SET recent_keys = :recent_keys, next_key = :next_key, settled_seq = :settled_seq,
    frozen_seq = :frozen_seq, next_span = :next_span"""
_SLICE_END = """SELECT key, record FROM blocking_recent WHERE key >= ?
    ORDER BY key, record LIMIT 1 OFFSET ?"""
_IN_SLICE = "FROM blocking_recent WHERE key >= ? AND (key, record) < (?, ?)"


def members(
    connection: Connection,
    blocking_keys: BlockingKeys,
    limit: int,
) -> tuple[set[int], int]:
    """Records under the keys, and how many keys had to be narrowed."""
    new = connection.new_keys
    new.catch_up(connection)
    keys = [key for key, _ in blocking_keys]
    found = new.under(keys)
    found += _first(connection, _UNDER_KEYS, _listed(keys), limit + 1)
    if len(found) <= limit:
        # All blocks together hold no more than one may: nothing to narrow. This is the usual case.
        return set(found), 0
    narrower = dict(blocking_keys)
    large = _larger_than(connection, narrower, limit)
    # Many keys share their narrower ones.
    narrow = {near for key in large for near in narrower[key] or (key,)}
    capped = _larger_than(connection, narrow, limit * NARROWED_FACTOR)
    whole = [key for key in narrower if key not in large] + list(narrow - capped)
    found = new.under(whole)
    found += _first(connection, _ALL_UNDER_KEYS, _listed(whole))
    for key in capped:
        most = limit * NARROWED_FACTOR
        found += [*_first(connection, _UNDER_KEY, key, most), *new.under([key])][:most]
    return set(found), len(large)


def _first(connection: sqlite3.Connection, statement: str, *values: Any) -> list[int]:
    """The first column of what is found."""
    return [row[0] for row in connection.execute(statement, values)]


def _larger_than(connection: Connection, keys: Iterable[int], limit: int) -> set[int]:
    room = [(key, limit - len(connection.new_keys.under([key]))) for key in keys]
    return set(_first(connection, _LARGER_THAN, orjson.dumps(room).decode(), limit))


def _listed(keys: Iterable[int]) -> str:
    return orjson.dumps(list(keys)).decode()


def exchange(
    connection: Connection, seq: int, record: int, removed: set[int], added: set[int]
) -> None:
    """Take a record from under some keys and put it under others, by the event ``seq``. Moves keys that are due."""
    if not removed and not added:
        return
    new = connection.new_keys
    stages = new.catch_up(connection)
    new.absorb(seq, record, added, removed)
    row = (seq, record, encode_keys([*added]), encode_keys([*removed]))
    connection.execute("INSERT INTO blocking_log VALUES (?, ?, ?, ?)", row)
    stages = _removed(connection, record, removed, stages)
    while new.is_due(stages):
        stages = _span_moved(connection, stages)
    if not stages.is_moving and new.is_full:
        stages = replace(stages, frozen_seq=seq, next_span=0)
    new.follow(stages)
    if stages.recent_keys > RECENT_KEYS:
        stages = _slice_moved(connection, stages)
    connection.execute(_KEEP, asdict(stages))


def _removed(connection: sqlite3.Connection, record: int, keys: set[int], stages: Stages) -> Stages:
    """Take the rows out of the tables; those that are in neither are new."""
    if not keys:
        return stages
    gone = [(key, record) for key in keys]
    connection.executemany("DELETE FROM blocking_key WHERE key = ? AND record = ?", gone)
    rows = connection.executemany(
        "DELETE FROM blocking_recent WHERE key = ? AND record = ?", gone
    ).rowcount
    return replace(stages, recent_keys=stages.recent_keys - rows)


def _span_moved(connection: Connection, stages: Stages) -> Stages:
    """Move the next span of the frozen generation to the small table; after the last one the log is shortened."""
    rows = connection.new_keys.leaving(stages.next_span)
    connection.executemany("INSERT INTO blocking_recent VALUES (?, ?)", rows)
    stages = replace(
        stages, recent_keys=stages.recent_keys + len(rows), next_span=stages.next_span + 1
    )
    if stages.next_span < SPANS:
        return stages
    connection.execute("DELETE FROM blocking_log WHERE seq <= ?", (stages.frozen_seq,))
    return replace(stages, settled_seq=stages.frozen_seq)


def _slice_moved(connection: sqlite3.Connection, stages: Stages) -> Stages:
    """Move the next slice in the order of keys; at the end of the table start from its beginning."""
    end = connection.execute(_SLICE_END, (stages.next_key, _SLICE)).fetchone()
    if end is None:
        return replace(stages, next_key=_LOWEST)
    span = (stages.next_key, *end)
    connection.execute(f"INSERT INTO blocking_key SELECT key, record {_IN_SLICE}", span)
    moved = connection.execute(f"DELETE {_IN_SLICE}", span).rowcount
    return replace(stages, recent_keys=stages.recent_keys - moved, next_key=end[0])
