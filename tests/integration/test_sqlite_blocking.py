"""Blocking keys on their way from the log to the large table: everybody is found under the current keys only."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mpi.domain.identity import EventKind
from mpi.errors import Conflict, StoreUnavailable
from mpi.stores.sqlite import blocking, memtable
from mpi.stores.sqlite.store import SqliteStore, open_store
from mpi.stores.sqlite.verify import verify_store
from tests.contract.changes import change, create, delete, plain, record
from tests.support.sqlite_keys import settle_keys

FINGERPRINT = b"fingerprint"
KEYS = range(1, 60)
TABLES = ("blocking_key", "blocking_recent", "blocking_log")
BEFORE_RECENT_KEYS = """
    DROP TABLE errand;
    DROP TABLE activation;
    DROP TABLE model;
    DROP TABLE blocking_recent;
    DROP TABLE blocking_log;
    ALTER TABLE tally DROP COLUMN recent_keys;
    ALTER TABLE tally DROP COLUMN next_key;
    ALTER TABLE tally DROP COLUMN settled_seq;
    ALTER TABLE tally DROP COLUMN frozen_seq;
    ALTER TABLE tally DROP COLUMN next_span;
    PRAGMA user_version = 2;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite3"


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    monkeypatch.setattr(blocking, "RECENT_KEYS", 40)
    monkeypatch.setattr(blocking, "_SLICE", 7)
    monkeypatch.setattr(memtable, "GENERATION_KEYS", 30)
    store = open_store(path, FINGERPRINT)
    yield store
    store.close()


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as raw:
        return int(raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def found(store: SqliteStore, key: int) -> set[str]:
    around = await store.candidates(plain(key))
    return {r.key.source_id for person in around.persons for r in person.records}


async def give_up(store: SqliteStore, name: str, keys: tuple[int, ...], records: int) -> None:
    """Write records in a group that ends without them."""
    async with store.group():
        for number in range(records):
            await store.commit(create(f"{name}-{number}", *keys))
            await found(store, keys[0])
        raise InterruptedError


async def test_records_are_found_wherever_their_keys_lie(store: SqliteStore, path: Path) -> None:
    chance = random.Random(3)
    truth: dict[str, tuple[int, ...]] = {}
    for number in range(120):
        source_id, keys = str(number), tuple(chance.sample(KEYS, 5))
        await store.commit(create(source_id, *keys))
        truth[source_id] = keys
        if number % 4 == 0:
            other = chance.choice(sorted(truth))
            truth[other] = tuple(chance.sample(KEYS, 4))
            renamed = record(other, *truth[other], family=f"NAME{number}")
            await store.commit(change(EventKind.UPDATED, record=renamed))
        if number % 9 == 0:
            other = chance.choice(sorted(truth))
            person = await store.record(record(other).key)
            assert person is not None
            await store.commit(delete(other, person.mpi_id or "", last=True))
            del truth[other]
    for key in KEYS:
        assert await found(store, key) == {s for s, keys in truth.items() if key in keys}
    # All of them are in use, and the small ones stay small.
    assert rows(path, "blocking_key") > 200
    assert 0 < rows(path, "blocking_recent") <= 40 + 30 + 7
    assert 0 < rows(path, "blocking_log") < 40
    assert verify_store(path) == []


async def test_everybody_finds_the_same_whoever_writes_and_gives_up(
    store: SqliteStore, path: Path
) -> None:
    """Two who write in turn, one who looks now and then, and one who comes at the end."""
    chance = random.Random(5)
    other, onlooker = open_store(path, FINGERPRINT), open_store(path, FINGERPRINT)
    truth: dict[str, tuple[int, ...]] = {}
    for number in range(150):
        writer = chance.choice((store, other))
        keys = tuple(chance.sample(KEYS, 5))
        if number % 3 == 0:
            with pytest.raises(InterruptedError):
                await give_up(writer, f"{number}", keys, chance.randrange(12))
        await writer.commit(create(str(number), *keys))
        truth[str(number)] = keys
        if number % 40 == 39:
            assert await found(onlooker, keys[0]) == {s for s, k in truth.items() if keys[0] in k}
    late = open_store(path, FINGERPRINT)
    for key in KEYS:
        expected = {source_id for source_id, keys in truth.items() if key in keys}
        for each in (store, other, onlooker, late):
            assert await found(each, key) == expected
    assert verify_store(path) == []
    for each in (other, onlooker, late):
        each.close()


async def fill(store: SqliteStore) -> None:
    for number in range(300):
        await store.commit(create(f"g{number}", *KEYS))


async def test_what_a_full_disk_took_back_is_found_by_nobody(path: Path) -> None:
    """SQLite ends the whole transaction by itself, while the group is still open."""
    store, other = open_store(path, FINGERPRINT), open_store(path, FINGERPRINT)
    writer = store._transactions._writer
    given_up, leave = asyncio.Event(), asyncio.Event()

    async def group() -> None:
        async with store.group():
            await store.commit(create("ghost", 5))
            (pages,) = writer.execute("PRAGMA page_count").fetchone()
            writer.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(StoreUnavailable):
                await fill(store)
            writer.execute("PRAGMA max_page_count = 1000000")
            given_up.set()
            await leave.wait()

    task = asyncio.create_task(group())
    await given_up.wait()
    assert await found(store, 5) == set()
    await other.commit(create("other", 7))
    assert (await found(store, 5), await found(store, 7)) == (set(), {"other"})
    leave.set()
    with pytest.raises(StoreUnavailable):
        await task
    store.close()
    other.close()


async def test_a_row_that_was_half_learned_is_learned_anew(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.commit(create("1", 1, 2))

    def interrupted(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(memtable.Generation, "add", interrupted)
        with pytest.raises(MemoryError):
            await store.commit(create("2", 2, 3))
    await store.commit(create("3", 4))
    assert (await found(store, 2), await found(store, 3)) == ({"1"}, set())


async def test_the_log_stays_short_where_few_keys_change(store: SqliteStore, path: Path) -> None:
    await store.commit(create("1", 1, 2))
    for number in range(50):
        changed = record("1", 1, 3 + number % 2, family=f"NAME{number}")
        await store.commit(change(EventKind.UPDATED, record=changed))
    assert rows(path, "blocking_log") < 10
    assert await found(store, 4) == {"1"}
    assert verify_store(path) == []


async def test_a_refused_change_moves_nothing(store: SqliteStore, path: Path) -> None:
    for number in range(12):
        await store.commit(create(str(number), number, number + 20, number + 40))
    async with store.group():
        with pytest.raises(Exception, match="registered"):
            await store.commit(change(moves=create("unknown", 1).moves))
        for number in range(20, 40):
            await store.commit(create(str(number), number, number + 20))
    assert verify_store(path) == []
    assert await found(store, 25) == {"5", "25"}


async def test_blocks_are_narrowed_as_one_wherever_they_lie(path: Path, store: SqliteStore) -> None:
    store.close()
    store = open_store(path, FINGERPRINT, block_limit=6)
    for number in range(30):
        await store.commit(create(str(number), 1, 100 + number, 200 + number, 300 + number))
        around = await store.candidates([(1, (100 + number,))])
        is_large = number >= 6
        assert around.narrowed == is_large
        expected = {str(number)} if is_large else {str(n) for n in range(number + 1)}
        assert {r.key.source_id for p in around.persons for r in p.records} == expected
    assert all(rows(path, table) > 0 for table in TABLES)
    store.close()


async def test_a_database_without_a_table_of_recent_keys_is_taken_over(path: Path) -> None:
    store = open_store(path, FINGERPRINT)
    await store.commit(create("1", 7, 8))
    store.close()
    settle_keys(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(BEFORE_RECENT_KEYS)
    store = open_store(path, FINGERPRINT)
    await store.commit(create("2", 8, 9))
    assert await found(store, 8) == {"1", "2"}
    store.close()
    assert [rows(path, table) for table in TABLES] == [2, 0, 1]
    assert verify_store(path) == []


async def test_what_was_just_written_reads_as_another_process_reads_it(path: Path) -> None:
    store, other = open_store(path, FINGERPRINT), open_store(path, FINGERPRINT)
    await store.commit(create("1", 7, 8))
    await store.commit(change(EventKind.UPDATED, record=record("1", 8, family="JONES")))
    with pytest.raises(Conflict):
        await store.commit(create("2", 8, undoes="EVT-nonsense"))
    await store.commit(create("3", 8, family="BROWN"))
    assert await store.candidates(plain(8)) == await other.candidates(plain(8))
    async with store.group():
        await store.commit(create("4", 8, family="GREEN"))
        assert len((await store.candidates(plain(8))).persons) == 3
    assert await store.candidates(plain(8)) == await other.candidates(plain(8))
    store.close()
    other.close()
