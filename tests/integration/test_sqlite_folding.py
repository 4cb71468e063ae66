"""The log is folded into the database while the service works."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from mpi.stores.sqlite import folding
from mpi.stores.sqlite.schema import connect
from mpi.stores.sqlite.store import open_store
from tests.contract.changes import created
from tests.support.workers import until

FINGERPRINT = b"fingerprint"


def folded(path: Path) -> int:
    """Records in the database file itself, without its log; -1 for a copy from the middle of a folding."""
    alone = path.with_name("alone.sqlite3")
    shutil.copyfile(path, alone)
    try:
        with closing(sqlite3.connect(alone)) as connection:
            return int(connection.execute("SELECT count(*) FROM record").fetchone()[0])
    except sqlite3.DatabaseError:
        return -1


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mpi-folding"]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folding, "INTERVAL_S", 0.05)
    return tmp_path / "index.sqlite3"


async def test_what_is_committed_is_folded_while_the_store_is_open(path: Path) -> None:
    store = open_store(path, FINGERPRINT)
    await created(store, "1")
    await asyncio.sleep(0.2)
    assert folded(path) == 0, "a command folds at its end"
    await store.warm_up()
    for number in range(2, 6):
        await created(store, str(number))
    until(lambda: folded(path) == 5, "the folding")
    assert len(threads()) == 1
    store.close()
    assert threads() == []


class Traffic:
    """A connection beside a writer, who is about to commit whenever it folds without the lock."""

    def __init__(self, connection: sqlite3.Connection, writer: sqlite3.Connection) -> None:
        self._connection = connection
        self._writer = writer

    def execute(self, statement: str) -> sqlite3.Cursor:
        if "PASSIVE" not in statement:
            return self._connection.execute(statement)
        self._writer.execute("BEGIN IMMEDIATE")
        committed(self._writer)
        done = self._connection.execute(statement)
        self._writer.execute("COMMIT")
        return done


def committed(writer: sqlite3.Connection) -> None:
    writer.execute("UPDATE tally SET minted = minted + 1")


def length(reader: sqlite3.Connection) -> int:
    """Pages in the log."""
    return int(reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1])


def test_a_long_log_begins_anew_though_there_is_always_a_page_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "LONG", 40)
    open_store(path, FINGERPRINT).close()
    with closing(connect(path)) as connection, closing(connect(path)) as writer:
        busy, lengths = cast("sqlite3.Connection", Traffic(connection, writer)), []
        for _ in range(200):
            folding._fold(busy)
            lengths.append(length(busy))
        assert 40 <= max(lengths) < 50
        assert lengths[-1] < max(lengths)


@pytest.fixture
def sides(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """A reader of the state after the first commit, and a writer; any log is long."""
    monkeypatch.setattr(folding, "LONG", 1)
    open_store(path, FINGERPRINT).close()
    with closing(connect(path)) as reader, closing(connect(path)) as writer:
        committed(writer)
        reader.execute("BEGIN")
        assert minted(reader) == 1
        yield reader, writer


def test_a_reader_in_the_way_of_a_long_log_keeps_its_state(
    path: Path, sides: tuple[sqlite3.Connection, sqlite3.Connection]
) -> None:
    reader, writer = sides
    committed(writer)
    folded_once(path)
    assert minted(reader) == 1
    committed(writer)
    reader.execute("COMMIT")
    assert minted(reader) == 3


def test_a_writer_in_the_way_of_a_long_log_commits(
    path: Path, sides: tuple[sqlite3.Connection, sqlite3.Connection]
) -> None:
    reader, writer = sides
    writer.execute("BEGIN IMMEDIATE")
    committed(writer)
    folded_once(path)
    writer.execute("COMMIT")
    reader.execute("COMMIT")
    assert minted(reader) == 2


def folded_once(path: Path) -> None:
    with closing(connect(path)) as connection:
        folding._fold(connection)


def minted(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT minted FROM tally").fetchone()[0])


async def test_what_cannot_be_folded_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def full_at_first(database: Path) -> sqlite3.Connection:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise sqlite3.OperationalError("database or disk is full")
        return connect(database)

    monkeypatch.setattr(folding, "connect", full_at_first)
    store = open_store(path, FINGERPRINT)
    await store.warm_up()
    await created(store, "1")
    until(lambda: folded(path) == 1, "the folding")
    assert tries >= 4
    store.close()
