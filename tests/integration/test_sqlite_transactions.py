"""Which connection reads, as a commit makes every other one forget the pages it knows, and what commits wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mpi.domain.identity import Committed
from mpi.errors import ConcurrentChange, StoreUnavailable
from mpi.stores.sqlite import calls
from mpi.stores.sqlite.schema import connect
from mpi.stores.sqlite.store import SqliteStore, open_store
from tests.contract.changes import create, created, key, plain


async def everything(store: SqliteStore, mpi_id: str) -> None:
    await store.candidates(plain(1))
    await store.record(key("1"))
    await store.versions(key("1"))
    await store.person(mpi_id)
    await store.assertions([key("1")])
    await store.tasks(None, limit=10)
    await store.events(0)
    await store.touched(1, 1)
    await store.statistics()
    await store.position()


async def test_reads_go_where_commits_go_but_for_those_beside_a_group(tmp_path: Path) -> None:
    store = open_store(tmp_path / "index.sqlite3", b"fingerprint")
    elsewhere: list[str] = []
    store._transactions._reader.set_trace_callback(elsewhere.append)
    first = await created(store, "1", 1)
    await everything(store, first)
    assert elsewhere == []

    entered, leave = asyncio.Event(), asyncio.Event()

    async def group() -> None:
        async with store.group():
            second = await created(store, "2", 2)
            await everything(store, second)
            assert elsewhere == []
            entered.set()
            await leave.wait()

    writing = asyncio.create_task(group())
    await entered.wait()
    await asyncio.sleep(0)
    await everything(store, first)  # by a connection that would refuse to write
    assert len(elsewhere) > 9
    leave.set()
    await writing
    elsewhere.clear()
    await everything(store, first)
    assert elsewhere == []
    store.close()


@dataclass
class SlowDisk:
    """Holds every commit of a store up until it is let go, as a disk does that the log is being folded on."""

    store: SqliteStore
    reached: threading.Event = field(default_factory=threading.Event)
    may_go: threading.Event = field(default_factory=threading.Event)
    threads: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store._transactions._writer.set_trace_callback(self._hold)

    def _hold(self, statement: str) -> None:
        if statement == "COMMIT":
            self.threads.append(threading.get_ident())
            self.reached.set()
            assert self.may_go.wait(10)

    async def is_committing(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, 10)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SlowDisk]:
    store = open_store(tmp_path / "index.sqlite3", b"fingerprint")
    store._folding.is_folding = True
    disk = SlowDisk(store)
    yield disk
    disk.may_go.set()
    store.close()


async def test_what_waits_for_a_busy_disk_holds_nobody_up_who_reads(disk: SlowDisk) -> None:
    writing = asyncio.create_task(created(disk.store, "1", 1))
    await disk.is_committing()
    assert await disk.store.position() == 0
    assert (await disk.store.statistics())["records"] == 0
    disk.may_go.set()
    mpi_id = await writing
    assert await disk.store.position() == 1
    await everything(disk.store, mpi_id)
    assert threading.get_ident() not in disk.threads


async def test_a_commit_takes_no_detour_when_the_disk_is_idle(disk: SlowDisk) -> None:
    disk.store._folding.is_folding = False
    disk.may_go.set()
    await created(disk.store, "1", 1)
    assert disk.threads == [threading.get_ident()]


async def test_a_commit_comes_to_its_end_before_others_write_whoever_is_cancelled(
    disk: SlowDisk,
) -> None:
    gone = asyncio.create_task(created(disk.store, "1", 1))
    await disk.is_committing()
    committing = disk.store._transactions._room._serving
    assert committing is not None
    gone.cancel()
    for _ in range(2):  # as a service is stopped: all of its tasks are cancelled
        committing.cancel()
        await asyncio.sleep(0.01)
    next_one = asyncio.create_task(created(disk.store, "2", 2))
    await asyncio.sleep(0.01)
    assert gone.cancelled()
    assert not next_one.done()
    disk.may_go.set()
    await next_one
    assert (await disk.store.statistics())["records"] == 2


async def test_a_store_is_closed_once_the_commit_under_way_has_ended(disk: SlowDisk) -> None:
    writing = asyncio.create_task(created(disk.store, "1", 1))
    await disk.is_committing()
    threading.Timer(0.05, disk.may_go.set).start()
    disk.store.close()
    assert disk.may_go.is_set()
    await writing
    again = open_store(disk.store._path, b"fingerprint")
    assert (await again.statistics())["records"] == 1
    again.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = open_store(tmp_path / "index.sqlite3", b"fingerprint")
    yield store
    store.close()


def commits_of(store: SqliteStore) -> list[str]:
    """The commits that the store makes from now on."""
    commits: list[str] = []
    store._transactions._writer.set_trace_callback(
        lambda statement: commits.append(statement) if statement == "COMMIT" else None
    )
    return commits


async def test_what_comes_together_is_committed_together(store: SqliteStore) -> None:
    commits = commits_of(store)
    found = await asyncio.gather(*(created(store, str(n), n) for n in range(40)))
    assert len(set(found)) == 40
    assert len(commits) == 3, "sixteen at a time"
    assert await store.position() == 40


async def test_who_is_refused_leaves_the_others(store: SqliteStore) -> None:
    await created(store, "1", 1)
    commits, position = commits_of(store), await store.position()
    late = [create(name, 7, guard_keys=(7,), position=position) for name in ("2", "3")]
    one, other, alone = await asyncio.gather(
        *(store.commit(change) for change in late), created(store, "4", 4), return_exceptions=True
    )
    assert isinstance(one, Committed)
    assert isinstance(other, ConcurrentChange), "the first has come between"
    assert isinstance(alone, str)
    assert len(commits) == 1
    assert (await store.statistics())["records"] == 3


async def test_who_was_cancelled_before_his_turn_is_not_written(store: SqliteStore) -> None:
    first, gone = (asyncio.create_task(created(store, name, 1)) for name in ("1", "2"))
    await asyncio.sleep(0)
    gone.cancel()
    await first
    assert (await store.statistics())["records"] == 1


async def test_on_a_full_disk_whoever_is_answered_is_stored(store: SqliteStore) -> None:
    writer = store._transactions._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 1}")
    outcomes = await asyncio.gather(
        *(created(store, str(n), *range(n, n + 20)) for n in range(100)), return_exceptions=True
    )
    stored = [each for each in outcomes if isinstance(each, str)]
    assert {type(each) for each in outcomes} == {str, StoreUnavailable}
    assert (await store.statistics())["records"] == len(stored) > 0
    writer.execute("PRAGMA max_page_count = 1000000")
    await created(store, "later", 1)


async def test_who_waits_is_answered_when_the_store_is_closed(store: SqliteStore) -> None:
    waiting = [asyncio.create_task(created(store, str(n), n)) for n in range(3)]
    await asyncio.sleep(0)
    store.close()
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert [type(each) for each in outcomes] == [StoreUnavailable] * 3


async def test_everybody_has_as_long_to_wait_for_the_lock(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "LOCK_DEADLINE", 0.5)
    with closing(connect(store._path)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.create_task(created(store, "1", 1))
        await asyncio.sleep(0.3)
        late = asyncio.create_task(created(store, "2", 2))
        with pytest.raises(StoreUnavailable):
            await first
        other.execute("ROLLBACK")
        await late
