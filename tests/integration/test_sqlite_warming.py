"""Looking through the index at the start: everything that candidates are read from, and never for long."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

from mpi.stores.sqlite import warming
from mpi.stores.sqlite.schema import connect
from mpi.stores.sqlite.store import open_store
from tests.contract.changes import created, plain


async def test_whatever_candidates_are_read_from_is_looked_through(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite3"
    store = open_store(path, b"fingerprint", block_limit=1)
    await created(store, "1", 1, 2)
    await created(store, "2", 1, 2)
    asked: set[str] = set()
    looked: set[str] = set()
    reader = store._transactions._outside
    reader.set_trace_callback(asked.add)
    await store.candidates((*plain(1), (2, (1,))))
    reader.set_trace_callback(looked.add)
    await store.warm_up()
    store.close()
    with closing(connect(path, read_only=True)) as raw:
        searched = _trees(raw, {s for s in asked if "json_each" in s or "key = " in s})
        assert len(searched) > 5
        assert searched <= _trees(raw, looked)


def _trees(raw: sqlite3.Connection, statements: set[str]) -> set[int]:
    """The roots of the tables and indexes that statements open."""
    selects = [s for s in statements if re.match("SELECT", s)]
    steps = [step for s in selects for step in raw.execute(f"EXPLAIN {s}")]
    return {step[3] for step in steps if step[1] == "OpenRead"}


async def test_who_is_interrupted_goes_on_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite3"
    store = open_store(path, b"fingerprint")
    await created(store, "1", 1)
    store.close()
    begun: list[str] = []
    with closing(connect(path, read_only=True)) as connection:

        def interrupted(statement: str) -> None:
            begun.append(statement)
            connection.interrupt()

        connection.set_trace_callback(interrupted)
        warming.look_through(connection)
        connection.set_trace_callback(None)
        assert len(begun) == 1
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (1,)
