"""A power cut tears the end of the write-ahead log; what was acknowledged before it is there, and nothing by halves.

Who registers at the same time shares a transaction, so the log's transactions do not tell how many registrations are
in it. What each of them made of the index is read from its pages, laid over the database here and not by SQLite: that
is what has to be there after the cut.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from mpi.stores.sqlite.verify import verify_store
from tests.conftest import Effort
from tests.support.api import Api, serving
from tests.support.people import made_up
from tests.support.service import Service, running
from tests.support.wal import Log, read_log, torn, torn_pages

pytestmark = pytest.mark.proof

WRITERS = 8
LATER = 3
"""Registrations of the service that goes on after the cut: at once, so that they share a transaction too."""


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
    index: bytes
    """Of the log, by which processes tell each other how much of it is in the database. A power cut loses it."""
    key: bytes


def taken(service: Service, database: Path, writers: list[Writer]) -> Snapshot:
    """The files of a service that stands still for a moment, as under a power cut."""
    service.process.send_signal(signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, service.process.pid, os.WSTOPPED | os.WNOWAIT)
        told = frozenset(source_id for writer in writers for source_id in writer.told)
        key, log, index = (
            database.with_name(f"{database.name}{ending}").read_bytes()
            for ending in (".key", "-wal", "-shm")
        )
        return Snapshot(told, database.read_bytes(), read_log(log), index, key)
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


class Story:
    """What the log of a snapshot tells: the registrations that are in the index after each of its transactions."""

    def __init__(self, snapshot: Snapshot, scratch: Path) -> None:
        self._snapshot = snapshot
        self._scratch = scratch
        self._known: dict[int, tuple[str, ...]] = {}
        folded = snapshot.log.folded(snapshot.index)
        self.ends = (folded, *(end for end in snapshot.log.commits if end > folded))
        """Where the log may be cut: no database has pages of what the log has not."""

    def at(self, end: int) -> tuple[str, ...]:
        """Their source ids in the order of their events, one for each."""
        if end not in self._known:
            self._scratch.write_bytes(self._snapshot.log.image(self._snapshot.database, end))
            self._known[end] = registrations(self._scratch)
        return self._known[end]

    def acknowledged(self) -> int:
        """The end of the first transaction after which all is there that had been acknowledged."""
        told = self._snapshot.told
        assert told <= set(self.at(self.ends[-1])), "acknowledged before it was in the log"
        return self.ends[bisect_left(self.ends, True, key=lambda end: told <= set(self.at(end)))]

    def together(self, kept: int) -> int:
        """How many registrations the transaction held that was torn; 0 where none was."""
        lost = [end for end in self.ends if end > kept]
        return len(self.at(lost[0])) - len(self.at(kept)) if lost else 0


def registrations(database: Path) -> tuple[str, ...]:
    """What a database without a log holds, by the table of its events; what it counts has to agree."""
    with closing(sqlite3.connect(f"{database.as_uri()}?immutable=1", uri=True)) as connection:
        found = connection.execute("""SELECT r.source_id FROM event e
            LEFT JOIN event_record x ON x.seq = e.seq LEFT JOIN record r ON r.id = x.record
            ORDER BY e.seq""").fetchall()
        (counted,) = connection.execute("SELECT records FROM tally").fetchone()
    assert len(set(found)) == len(found) == counted
    return tuple(source_id for (source_id,) in found)


def promised(before: Sequence[Snapshot], log: Log, durable: int) -> frozenset[str]:
    """What had been acknowledged when no more than this was in the log, by the last snapshot of such a moment."""
    for snapshot in reversed(before):
        of_another_round = snapshot.log.salt != log.salt
        if of_another_round or (snapshot.log.commits or (0,))[-1] <= durable:
            return snapshot.told
    return frozenset()


async def resumed(folder: Path) -> tuple[str, ...]:
    """What a service finds that goes on with the index, by its events in their order. It has to register others."""
    async with serving(folder) as api:
        events = await api.parts.index.events(0, 1_000_000)
        found = tuple(event.record.source_id for event in events if event.record)
        keys = [key.source_id async for key, _ in api.parts.index.crosswalk()]
        assert sorted(found) == sorted(keys)
        assert [event.seq for event in events] == list(range(1, len(found) + 1))
        assert (await api.parts.index.statistics())["records"] == len(found)
        answers = await asyncio.gather(*(registered(api, number) for number in range(LATER)))
        assert {answer["status"] for answer in answers} == {"created"}
        assert (await api.parts.index.statistics())["records"] == len(found) + LATER
    return found


async def registered(api: Api, number: int) -> Any:
    body = {"patient_data": made_up(Random(99 + number)), "source": "B", "source_id": f"{number}"}
    answer = await api.client.post("/mpi/match", json=body)
    return answer.json()


async def test_a_torn_log_loses_nothing_that_was_acknowledged_and_halves_nothing(
    tmp_path: Path, effort: Effort
) -> None:
    chance = Random(17)
    database = tmp_path / "data" / "mpi" / "mpi.sqlite3"
    with running(tmp_path) as service, writing(service) as writers:
        snapshots = list[Snapshot]()
        while not all(writer.told for writer in writers):
            threading.Event().wait(0.01)
        for _ in range(effort(6, 100)):
            threading.Event().wait(chance.uniform(0.02, 0.3))
            snapshots.append(taken(service, database, writers))
    shared = 0
    for number, snapshot in enumerate(snapshots):
        log, story = snapshot.log, Story(snapshot, tmp_path / "scratch.sqlite3")
        # At the moment of the snapshot, and at one before, where several registrations share what is torn.
        before = [end for end in story.ends if story.together(end) > 1] or story.ends
        for cut, durable in enumerate((story.acknowledged(), chance.choice(before))):
            torn_log = torn(log, durable, chance)
            torn_database = torn_pages(snapshot.database, log, durable, chance)
            damaged = put(tmp_path / f"{number}-{cut}", snapshot, torn_database, torn_log)
            kept = max(durable, log.whole(torn_log))
            assert verify_store(damaged) == []
            assert await resumed(damaged.parent) == story.at(kept)
            assert promised(snapshots[: number + 1], log, durable) <= set(story.at(kept))
            assert verify_store(damaged) == []
            shared += story.together(kept) > 1
    assert shared, "no transaction was torn that several registrations share"
