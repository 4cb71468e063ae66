"""What was acknowledged stays: through kills, other processes, locks and attempts to rewrite history."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mpi.domain.identity import EventKind
from mpi.errors import StoreUnavailable
from mpi.stores.sqlite.schema import connect
from mpi.stores.sqlite.store import SqliteStore, open_store
from mpi.stores.sqlite.verify import verify_store
from tests.contract.changes import change, create, created, key, merge, move, plain

FINGERPRINT = b"fingerprint"
WRITER = """
import asyncio, sys
from pathlib import Path
from mpi.errors import ConcurrentChange
from mpi.stores.sqlite.store import open_store
from tests.contract.changes import create, link, plain

async def main(path, name, count, shared):
    store = open_store(Path(path), b"fingerprint")
    for number in range(int(count)):
        source_id = f"{name}-{number}"
        while True:
            around = await store.candidates(plain(number))
            guard = {"position": around.position, "guard_keys": (number,)}
            try:
                if around.persons and shared == "shared":
                    await store.commit(link(source_id, around.persons[0].mpi_id, number, **guard))
                else:
                    await store.commit(create(source_id, number, **guard))
            except ConcurrentChange:
                continue
            break
        print(source_id, flush=True)
    store.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = open_store(path, FINGERPRINT)
    yield store
    store.close()


def start_writer(
    path: Path, checkout: Path, name: str, count: int, shared: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count), shared],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{checkout / 'src'}:{checkout}"},
    )


async def test_two_processes_never_mint_one_person_twice(path: Path, checkout: Path) -> None:
    writers = [start_writer(path, checkout, name, 100, "shared") for name in "ab"]
    for writer in writers:
        output, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        assert len(output.split()) == 100
    store = open_store(path, FINGERPRINT)
    statistics = await store.statistics()
    assert (statistics["records"], statistics["persons"]) == (200, 100)
    assert [e.seq for e in await store.events()] == list(range(1, 201))
    store.close()
    assert verify_store(path) == []


@pytest.mark.parametrize("acknowledged", [1, 40])
async def test_a_killed_process_loses_nothing_that_it_acknowledged(
    path: Path, checkout: Path, acknowledged: int
) -> None:
    writer = start_writer(path, checkout, "a", 100_000, "alone")
    assert writer.stdout is not None
    seen = [writer.stdout.readline().strip() for _ in range(acknowledged)]
    writer.send_signal(signal.SIGKILL)
    seen += writer.stdout.read().split()
    writer.stdout.close()
    writer.wait()
    store = open_store(path, FINGERPRINT)
    for source_id in seen:
        assert await store.record(key(source_id)) is not None
    # One more may have been committed before it could be told.
    assert (await store.statistics())["records"] - len(seen) in (0, 1)
    await created(store, "after")
    store.close()
    assert verify_store(path) == []


async def test_waiting_for_a_lock_leaves_the_loop_free(store: SqliteStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        committing = asyncio.create_task(created(store, "1"))
        started = time.monotonic()
        for _ in range(20):
            await asyncio.sleep(0.001)
            assert await store.record(key("1")) is None
        assert time.monotonic() - started < 1
        assert not committing.done()
        raw.execute("ROLLBACK")
        await committing
    assert await store.record(key("1")) is not None


async def test_a_lock_held_too_long_makes_the_store_unavailable(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpi.stores.sqlite.calls.LOCK_DEADLINE", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="SQLITE_BUSY"):
            await created(store, "1")
        raw.execute("ROLLBACK")
    await created(store, "1")


async def test_a_cancelled_group_leaves_nothing_and_frees_the_store(store: SqliteStore) -> None:
    async def stuck() -> None:
        async with store.group():
            await created(store, "1")
            await asyncio.sleep(60)

    running = asyncio.create_task(stuck())
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await store.record(key("1")) is None
    await created(store, "2")


async def test_a_failing_disk_is_no_half_a_change(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await created(store, "1")
    with closing(sqlite3.connect(path)) as raw:
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
    # SQLite's own limit stands for a full disk: the same code paths, the same error.
    writer = store._transactions._writer
    writer.execute(f"PRAGMA max_page_count = {pages}")
    too_large = create("2", *range(2_000))
    with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
        await store.commit(too_large)

    async def group() -> None:
        """Go on after a failure, as a batch does. SQLite has rolled back everything by then."""
        async with store.group():
            await created(store, "3")
            with pytest.raises(StoreUnavailable, match="SQLITE_FULL"):
                await store.commit(too_large)
            with pytest.raises(StoreUnavailable, match="given up"):
                await created(store, "4")

    with pytest.raises(StoreUnavailable, match="none of them is stored"):
        await group()
    assert (await store.statistics())["records"] == 1
    assert (await store.candidates(plain(5))).persons == ()
    writer.execute("PRAGMA max_page_count = 1000000")
    await created(store, "2")
    assert verify_store(path) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET reason = 'another'",
        "DELETE FROM event",
        "DELETE FROM link",
        "UPDATE link SET person = 2",
        "UPDATE link SET until_seq = NULL",
    ],
)
async def test_history_cannot_be_rewritten(store: SqliteStore, path: Path, statement: str) -> None:
    first, second = await created(store, "1"), await created(store, "2")
    person = await store.person(second)
    assert person is not None
    await store.commit(merge(first, person))
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|superseded"):
            raw.execute(statement)
        links = raw.execute("SELECT record, from_seq, person, until_seq FROM link").fetchall()
    assert links == [(1, 1, 1, None), (2, 2, 2, 3), (2, 3, 1, None)]


async def test_a_snapshot_is_not_disturbed_by_commits(store: SqliteStore) -> None:
    for number in range(3):
        await created(store, str(number))
    rows = store.crosswalk()
    assert (await anext(rows))[0] == key("0")
    await store.commit(
        change(
            EventKind.MOVED,
            moves=(move("2", (await store.record(key("2"))).mpi_id, "new"),),  # type: ignore[union-attr]
            retire=(((await store.record(key("2"))).mpi_id, "new"),),  # type: ignore[union-attr]
        )
    )
    await created(store, "3")
    assert [k.source_id async for k, _ in rows] == ["1", "2"]


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """Without it, the tests of power cuts would prove nothing: they tear what was never synced."""
    with closing(connect(made_index(tmp_path))) as connection:
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (level,) = connection.execute("PRAGMA synchronous").fetchone()
    assert (mode, level) == ("wal", 2)


def made_index(folder: Path) -> Path:
    path = folder / "index.sqlite3"
    open_store(path, FINGERPRINT).close()
    return path
