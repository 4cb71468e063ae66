"""Which connection reads: a commit makes every other one forget the pages it knows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mpi.stores.sqlite import SqliteStore, open_store
from tests.contract.changes import created, key, plain


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
