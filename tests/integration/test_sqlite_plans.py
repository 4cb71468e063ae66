"""No request reads a whole table, however large the index grows."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mpi.domain.identity import NEW_PERSON, EventKind, TaskStatus, TaskUpdate
from mpi.domain.record import RecordStatus
from mpi.stores.sqlite import blocking
from mpi.stores.sqlite.store import open_store
from tests.contract.changes import (
    change,
    create,
    created,
    delete,
    key,
    link,
    merged,
    move,
    not_same,
    plain,
    record,
    review,
)

# One row, one of each table that counts, a list handed over as a value, and subqueries over such a list.
SMALL = re.compile(
    r"SCAN (tally|sqlite_sequence|j|h|\(subquery-\d+\)|CONSTANT ROW|json_each)(?!\w)"
)


async def test_every_statement_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "RECENT_KEYS", 0)
    path = tmp_path / "index.sqlite3"
    store = open_store(path, b"fingerprint", block_limit=2)
    statements: set[str] = set()
    for connection in (store._transactions._reader, store._transactions._writer):
        connection.set_trace_callback(statements.add)

    first, second = await created(store, "1", 1, 2), await created(store, "2", 1, 2)
    await store.commit(link("3", first, 1, 3, position=1, guard_keys=(9,)))
    await merged(store, first, second)
    pending = record("1", 7, family="X", status=RecordStatus.PENDING)
    await store.commit(change(record=pending, expected_versions=((first, 3),)))
    await store.commit(change(record=record("1", 7, family="X")))
    moved = await store.commit(change(EventKind.MOVED, moves=(move("3", first, NEW_PERSON),)))
    await store.commit(change(assertions=(not_same("1", "3"),)))
    await store.commit(change(lift=(not_same("1", "3"),), assertions=(not_same("2", "3"),)))
    (task,) = (await store.commit(change(tasks=(review("1", first),)))).task_ids
    claim = (TaskUpdate(task, TaskStatus.CLAIMED),)
    await store.commit(change(task_updates=claim, expected_versions=((task, 1),)))
    await store.commit(create("4", 4))
    await store.commit(delete("1", first, undoes=moved.event.event_id))

    await store.candidates((*plain(1, 3, 4), (2, (7,))))
    await store.record(key("1"))
    await store.versions(key("1"))
    await store.person(first)
    await store.assertions([key("2")])
    await store.later_events((await store.events())[0])
    await store.events(mpi_id=first)
    await store.tasks(TaskStatus.OPEN)
    await store.tasks(None)
    await store.undecided(first)
    await store.task(task)
    await store.find_key(b"digest")
    await store.position()
    await store.statistics()
    store.close()

    assert len(statements) > 60
    with closing(sqlite3.connect(path)) as raw:
        for statement in statements:
            if not statement.startswith(("SELECT", "UPDATE", "DELETE")):
                continue
            for _, _, _, step in raw.execute(f"EXPLAIN QUERY PLAN {statement}"):
                scans = "SCAN" in step and not SMALL.search(step)
                assert not scans, f"{step}: {statement}"
