"""A power cut tears the end of the write-ahead log; what was acknowledged before it is there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx2
import pytest

from mpi.stores.sqlite_verify import verify_store
from tests.conftest import Effort
from tests.support.api import serving
from tests.support.people import made_up
from tests.support.service import Service, running
from tests.support.wal import Log, read_log, torn, torn_pages

pytestmark = pytest.mark.proof

WRITERS = 1
"""What comes together is one transaction, and the log does not tell how many registrations are in it."""


@dataclass(slots=True)
class Writer:
    """Registers one patient after the other; ``told`` are those that were acknowledged."""

    number: int
    told: list[str] = field(default_factory=list)
    ended: bool = False

    def work(self, url: str) -> None:
        chance = Random(self.number)
        with httpx2.Client(base_url=url, timeout=30) as http:
            while not self.ended:
                source_id = f"{self.number}-{len(self.told)}"
                body = {"patient_data": made_up(chance), "source": "A", "source_id": source_id}
                answer = http.post("/mpi/match", json=body)
                assert answer.status_code == 200
                self.told.append(source_id)


@contextmanager
def writing(service: Service) -> Iterator[list[Writer]]:
    writers = [Writer(number) for number in range(WRITERS)]
    threads = [threading.Thread(target=writer.work, args=(service.url,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.ended = True
        for thread in threads:
            thread.join()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What lay on the disk at one moment, and what had been acknowledged until then."""

    told: frozenset[str]
    database: bytes
    log: Log
    key: bytes


def taken(service: Service, database: Path, writers: list[Writer]) -> Snapshot:
    """The files of a service that stands still for a moment, as under a power cut."""
    service.process.send_signal(signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, service.process.pid, os.WSTOPPED | os.WNOWAIT)
        told = frozenset(source_id for writer in writers for source_id in writer.told)
        key = database.with_name(f"{database.name}.key").read_bytes()
        log = database.with_name(f"{database.name}-wal").read_bytes()
        return Snapshot(told, database.read_bytes(), read_log(log), key)
    finally:
        service.process.send_signal(signal.SIGCONT)


def put(folder: Path, snapshot: Snapshot, database: bytes, log: bytes) -> Path:
    """Lay the files down as another index."""
    folder.mkdir()
    path = folder / "index.sqlite3"
    path.write_bytes(database)
    path.with_name("index.sqlite3-wal").write_bytes(log)
    path.with_name("index.sqlite3.key").write_bytes(snapshot.key)
    return path


async def present(folder: Path) -> list[str]:
    """The source ids of the index's records in the order of their commits; it has to take another record too."""
    async with serving(folder) as api:
        events = await api.parts.index.events(0, 1_000_000)
        committed = {event.record: event.seq for event in reversed(events)}
        keys = [key async for key, _ in api.parts.index.crosswalk()]
        body = {"patient_data": made_up(Random(99)), "source": "B", "source_id": "after"}
        answer = await api.client.post("/mpi/match", json=body)
        assert answer.json()["status"] == "created"
    return [key.source_id for key in sorted(keys, key=lambda key: committed[key])]


async def test_a_torn_log_loses_nothing_that_was_acknowledged(
    tmp_path: Path, effort: Effort
) -> None:
    chance = Random(17)
    database = tmp_path / "data" / "mpi" / "mpi.sqlite3"
    with running(tmp_path) as service, writing(service) as writers:
        snapshots = []
        for _ in range(effort(6, 100)):
            threading.Event().wait(chance.uniform(0.02, 0.3))
            snapshots.append(taken(service, database, writers))
    for number, snapshot in enumerate(snapshots):
        whole = put(tmp_path / f"{number}", snapshot, snapshot.database, snapshot.log.raw)
        there = await present(whole.parent)
        assert snapshot.told <= set(there)
        # Each registration was a transaction of its own. A writer that was answered may not have noted it yet.
        untold = len(there) - max(
            (n for n, key in enumerate(there, 1) if key in snapshot.told), default=0
        )
        assert untold <= WRITERS
        commits = snapshot.log.commits
        durable = commits[-1 - untold] if len(commits) > untold else 0
        for cut in range(2):
            damaged = put(
                tmp_path / f"{number}-{cut}",
                snapshot,
                torn_pages(snapshot.database, snapshot.log, durable, chance),
                torn(snapshot.log, durable, chance),
            )
            assert verify_store(damaged) == []
            assert snapshot.told <= set(await present(damaged.parent)) <= set(there)
            assert verify_store(damaged) == []
