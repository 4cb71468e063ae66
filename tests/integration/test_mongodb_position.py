"""Where the index stands is known without a question, and never for longer than it is true."""

from __future__ import annotations

import asyncio
import gc
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

import pytest
from pymongo import AsyncMongoClient, MongoClient, monitoring

from bench.daemons import Mongod
from mpi.errors import ConcurrentChange, StoreUnavailable
from mpi.stores.mongodb.opening import Address
from mpi.stores.mongodb.position import GOOD_FOR
from mpi.stores.mongodb.store import MongoStore
from tests.contract.changes import create, created

Opened = Callable[[Address], Awaitable[MongoStore]]
WITHIN = 1.0
"""Seconds, as the port promises."""


class Questions(monitoring.CommandListener):
    """Counts what the drivers of this process look for, by collection, and the transactions that they commit."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.commits = 0

    @property
    def heads(self) -> int:
        return self.asked["meta"]

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.asked[event.command["find"]] += 1
        self.commits += event.command_name == "commitTransaction"

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...
    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


@pytest.fixture
def questions() -> Iterator[Questions]:
    found = Questions()
    listeners = (
        monitoring._LISTENERS.command_listeners
    )  # the driver has no way to take one out again
    listeners.append(found)
    yield found
    listeners.remove(found)


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with AsyncExitStack() as stack:

        async def open_(address: Address) -> MongoStore:
            store = MongoStore(address)
            await store.open(b"fingerprint")
            stack.push_async_callback(store.close)
            return store

        yield open_
    gc.collect()  # so that what is unclosed is told of this test, not of another


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A server that may be paused and killed."""
    server = Mongod(tmp_path / "mongod")
    server.start()
    yield server
    server.kill()


async def until(reached: Callable[[], Awaitable[bool]], seconds: float = 30) -> float:
    """Wait for it; returns how long it took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not await reached():
        assert loop.time() < started + seconds
        await asyncio.sleep(0.005)
    return loop.time() - started


async def told(store: MongoStore, questions: Questions) -> None:
    """Wait until the store answers without a question."""

    async def asks_nothing() -> bool:
        before = questions.heads
        await store.position()
        return before > 0 and questions.heads == before

    await until(asks_nothing)


async def known(store: MongoStore, position: int) -> float:
    """Seconds until the store knows of that event."""

    async def reached() -> bool:
        return await store.position() >= position

    return await until(reached)


async def test_who_is_told_asks_nothing_and_knows_every_commit(
    questions: Questions, opened: Opened, address: Address
) -> None:
    here, there = await opened(address), await opened(address)
    await told(here, questions)
    before, started = questions.heads, monotonic()
    for number in range(1, 20, 2):
        await created(there, f"other-{number}", number)
        assert await known(here, number) < WITHIN
        await created(here, f"own-{number}", number)
        assert [await here.position() for _ in range(50)] == [number + 1] * 50
    # While there is no silence it makes sure twice in that time, whoever reads how often.
    assert questions.heads - before <= 1 + (monotonic() - started) / (GOOD_FOR / 2)


async def test_a_stream_that_lags_behind_is_not_taken_for_the_truth(
    questions: Questions, opened: Opened, address: Address
) -> None:
    """More changes than a busy process is told of one by one."""
    here = await opened(address)
    await told(here, questions)
    stop, written = Event(), [monotonic()]

    def change() -> None:
        with MongoClient[dict[str, Any]](address.uri) as client:
            while not stop.is_set():
                position = {"$set": {"position": len(written)}}
                client[address.database]["meta"].update_one({"_id": "head"}, position)
                written.append(monotonic())

    changing = asyncio.create_task(asyncio.to_thread(change))
    try:
        while len(written) == 1 or monotonic() < written[0] + 2.5 * WITHIN:
            known = await here.position()
            if known + 1 < len(written):
                assert monotonic() - written[known + 1] < WITHIN
            sleep(0.01)  # noqa: ASYNC251 - the work of a busy process
            await asyncio.sleep(0)
    finally:
        stop.set()
        await changing


async def test_what_is_known_lasts_no_longer_than_it_is_true(
    questions: Questions, opened: Opened, own_mongod: Mongod
) -> None:
    """A server that hangs, and one that is killed: no answer from memory, and another stream afterwards."""
    address = Address(own_mongod.uri, "index", timeout=0.5)
    here, there = await opened(address), await opened(address)
    await created(here, "1", 1)
    outages: list[Callable[[], AbstractContextManager[None]]] = [
        own_mongod.paused,
        partial(restarted, own_mongod),
    ]
    for number, outage in enumerate(outages, 1):
        await told(here, questions)
        with outage():
            await asyncio.sleep(WITHIN)
            with pytest.raises(StoreUnavailable):
                await here.position()
        await until(partial(succeeds, here))
        await created(there, f"later-{number}", number)
        assert await known(here, number + 1) < WITHIN
    await told(here, questions)


@contextmanager
def restarted(server: Mongod) -> Iterator[None]:
    server.kill()
    yield
    server.start()


async def succeeds(store: MongoStore) -> bool:
    with suppress(StoreUnavailable):
        await store.position()
        return True
    return False


async def stands_at(store: MongoStore, position: int) -> bool:
    with suppress(StoreUnavailable):
        return await store.position() == position
    return False


async def has_touched(store: MongoStore, seq: int, key: int) -> bool:
    with suppress(StoreUnavailable):
        return [t.keys for t in await store.touched(seq, seq)] == [{key}]
    return False


async def test_an_index_that_is_restored_is_followed_from_where_it_stands(
    questions: Questions, opened: Opened, address: Address
) -> None:
    here = await opened(address)
    for number in range(3):
        await created(here, str(number), number)
    await told(here, questions)
    async with AsyncMongoClient[dict[str, Any]](address.uri) as client:
        await client.drop_database(address.database)
        there = await opened(address)
        await created(there, "1", 1)

        assert await until(partial(stands_at, here, 1)) < WITHIN
    await told(here, questions)
    await created(there, "2", 2)
    assert await known(here, 2) < WITHIN


async def test_what_others_touched_is_known_without_a_question(
    questions: Questions, opened: Opened, address: Address
) -> None:
    here, there = await opened(address), await opened(address)
    await told(here, questions)
    for number in range(1, 9):
        mpi_id = await created(there if number % 2 else here, str(number), number)
        await known(here, number)
        (touched,) = await here.touched(number, number)
        assert (touched.seq, touched.persons) == (number, (mpi_id,))
        assert touched.keys == {number}
    assert len(await here.touched(1, 8)) == 8
    # Nor does whoever commits after another process, or registers who was never seen.
    assert set(questions.asked) == {"meta"}
    # A process that came later was told of none of them.
    assert (await (await opened(address)).touched(1, 8)) == await here.touched(1, 8)
    assert questions.asked["event"] == 1


@pytest.mark.parametrize(("records", "keys"), [(25, 40), (40, 1)])
async def test_what_a_large_commit_touched_is_read(
    records: int, keys: int, questions: Questions, opened: Opened, address: Address
) -> None:
    here, there = await opened(address), await opened(address)
    await told(here, questions)
    async with there.group():
        for number in range(records):
            await created(there, str(number), *range(100 * number, 100 * number + keys))
    await known(here, records)
    found = await here.touched(1, records)
    assert [t.keys for t in found] == [
        set(range(100 * number, 100 * number + keys)) for number in range(records)
    ]
    assert questions.asked["event"] == 1


async def test_commits_that_wait_for_another_process_become_one(
    questions: Questions, opened: Opened, address: Address
) -> None:
    here, there = await opened(address), await opened(address)
    await told(here, questions)
    async with there.group():
        await created(there, "0", 0)
        first = asyncio.create_task(created(here, "1", 1))
        await asyncio.sleep(0.1)  # it has met the conflict by now
        others = [asyncio.create_task(created(here, str(n), n)) for n in range(2, 6)]
        await asyncio.sleep(0)
    await asyncio.gather(first, *others)
    assert questions.commits == 2


async def test_whoever_waits_is_told_of_a_commit_and_waits_no_longer_than_he_said(
    questions: Questions, opened: Opened, address: Address
) -> None:
    here, there = await opened(address), await opened(address)
    await told(here, questions)
    loop = asyncio.get_running_loop()
    started = loop.time()
    waiting = asyncio.create_task(here._position.next_commit(20))
    await asyncio.sleep(0)
    await created(there, "1", 1)
    await waiting
    assert loop.time() - started < 20 * WITHIN / 2
    started = loop.time()
    await here._position.next_commit(0.05)
    assert loop.time() - started >= 0.05 - 0.002


async def test_nothing_that_was_told_outlives_its_history(
    questions: Questions, opened: Opened, address: Address
) -> None:
    here = await opened(address)
    await told(here, questions)
    await created(here, "1", 1)
    assert [t.keys for t in await here.touched(1, 1)] == [{1}]
    async with AsyncMongoClient[dict[str, Any]](address.uri) as client:
        await client.drop_database(address.database)
        there = await opened(address)
        await created(there, "2", 2)
    assert await until(partial(has_touched, here, 1, 2)) < WITHIN


async def test_files_of_another_day_are_noticed_though_the_stream_goes_on(
    questions: Questions, opened: Opened, own_mongod: Mongod, tmp_path: Path
) -> None:
    """The driver resumes the stream as if nothing had happened, if the server comes back soon enough."""
    address = Address(own_mongod.uri, "index")
    here = await opened(address)
    await created(here, "early", 1)
    own_mongod.stop()
    files, copy = tmp_path / "mongod", tmp_path / "copy"
    shutil.copytree(files, copy)
    own_mongod.start()
    for number in (2, 3):
        await created(here, f"lost-{number}", number)
    await told(here, questions)
    own_mongod.kill()
    shutil.rmtree(files)
    shutil.copytree(copy, files)
    own_mongod.start()

    await until(partial(stands_at, here, 1), 10)
    there = await opened(address)
    await created(there, "new-2", 900)
    await until(partial(has_touched, here, 2, 900), 10)
    late = create("new-3", 900, position=1, guard_keys=(900,))
    with pytest.raises(ConcurrentChange):
        await here.commit(late)


async def test_whoever_is_told_nothing_learns_from_the_head_what_came_before(
    questions: Questions, opened: Opened, address: Address
) -> None:
    here, there = await opened(address), await opened(address)
    await created(there, "1", 10)
    with pytest.raises(ConcurrentChange):
        await here.commit(create("2", 20, position=0, guard_keys=(10,)))
    await here.commit(create("2", 20, position=0, guard_keys=(20,)))
    assert questions.asked["event"] == 0
