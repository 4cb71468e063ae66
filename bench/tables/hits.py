"""How many queries the cache answers while the index changes, and whether any answer is stale."""

from __future__ import annotations

import asyncio
import csv
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import uvloop

from bench.context import Run
from bench.daemons import Valkey
from bench.queries import Patient, traits
from bench.results import Figure, Goal, Table
from bench.statistics import Spread
from mpi.bootstrap.container import Container, build
from mpi.domain.record import Submission
from mpi.domain.registration import read_flat
from mpi.errors import MpiError
from mpi.service.answers import MatchAnswer
from mpi.settings import read_settings

_ZIPF = 1.1
_PER_PATIENT, _PATIENTS_A_ROUND = 10, 4_000
"""Queries for each patient, and how many patients a round stands for: 25 rounds are a million queries over 100,000."""
_PER_SECOND = 2_000
_CHANGES, _MERGES = 0.01, 0.2
_CHECKED = 20
"""Of so many answers one is compared with an uncached one; after a change both services are checked."""


def table(run: Run) -> Table:
    """Two services on one index share a Redis; a third without any cache says what is true."""
    index = run.fresh(run.sizes.load_rows, reload=False)
    folder = run.folder / "hits"
    folder.mkdir(mode=0o700)
    for file in index.folder.glob("index.sqlite3*"):
        shutil.copy2(file, folder)
    valkey = Valkey(run.folder / "valkey-hits")
    valkey.start()
    patients = list(islice(_patients(index.population), run.sizes.rounds * _PATIENTS_A_ROUND))
    queries = len(patients) * _PER_PATIENT
    try:
        with (
            run.share(f"hits: {queries:,} queries", queries / _PER_SECOND),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            found = runner.run(_asked(folder / "index.sqlite3", valkey, patients, queries))
    finally:
        valkey.kill()
    rate = 100 * (1 - found.served["provider"] / queries)
    figures = (
        Figure("answered from the cache", "%", _only(rate), goal=Goal("> 90 %", rate > 90)),
        *(
            Figure(f"from {tier}", "%", _only(100 * found.served[tier] / queries))
            for tier in ("memory", "redis")
        ),
        Figure(
            f"stale among {found.checked:,} compared",
            "answers",
            _only(found.stale),
            goal=Goal("0", found.stale == 0),
        ),
    )
    return Table(
        "hits",
        f"Hit rate, {queries:,} queries over {len(patients):,} patients",
        figures,
        {"patients": len(patients), "queries": queries},
        (
            f"Patients by Zipf {_ZIPF}, two services in turn, each with its own memory tier, sharing a Redis. "
            f"{found.changes:,} requests in between enrolled a registration or merged two persons. An answer is stale "
            "when its mpi_id or status is not what a service without a cache says at that moment.",
        ),
    )


@dataclass(slots=True)
class _Found:
    served: Counter[str]
    changes: int = 0
    checked: int = 0
    stale: int = 0


async def _asked(database: Path, valkey: Valkey, patients: list[Patient], queries: int) -> _Found:
    chance, found = Random(1), _Found(Counter())
    weights = np.arange(1, len(patients) + 1) ** -_ZIPF
    drawn = np.random.default_rng(1).choice(len(patients), queries, p=weights / weights.sum())
    cached = [_service(database, valkey, "memory,redis") for _ in range(2)]
    true = _service(database, valkey, "")
    submissions = [read_flat(patient)[0] for patient in patients]
    for number, rank in enumerate(drawn):
        submission = submissions[rank]
        service = cached[number % 2]
        answer = await _ask(service, submission)
        found.served[answer.served_from] += 1
        if number % _CHECKED == 0:
            await _check(found, true, submission, answer)
        if chance.random() < _CHANGES:
            found.changes += 1
            other = submissions[drawn[chance.randrange(queries)]]
            await _change(cached[chance.randrange(2)], patients[rank], submission, other, number)
            for one in cached:
                await _check(found, true, submission, await _ask(one, submission))
    for one in (*cached, true):
        await one.close()
    return found


async def _ask(service: Container, asked: Submission) -> MatchAnswer:
    """Ask in a turn of the loop of its own, as requests arrive: within one a service looks at its index once."""
    await asyncio.sleep(0)
    return await service.index.resolve(asked, actor="bench")


async def _change(
    service: Container, patient: Patient, one: Submission, other: Submission, number: int
) -> None:
    """Register a patient once more, or merge what two submissions are taken for."""
    ids = {"source": "BENCH", "source_id": str(number)}
    if number % round(1 / _MERGES):
        await service.index.resolve(read_flat(patient | ids)[0], actor="bench")
        return
    left, right = [(await _ask(service, s)).mpi_id for s in (one, other)]
    if left and right and left != right:
        with suppress(MpiError):  # twins and the like may not be merged
            await service.stewardship.merge(left, right, reason="bench", actor="bench")


async def _check(found: _Found, true: Container, asked: Submission, answer: MatchAnswer) -> None:
    truth = await _ask(true, asked)
    found.checked += 1
    found.stale += (truth.mpi_id, truth.status) != (answer.mpi_id, answer.status)


def _service(database: Path, valkey: Valkey, cache: str) -> Container:
    chosen = {
        "MPI_PROVIDER": "internal",
        "MPI_STORE": "sqlite",
        "MPI_SQLITE_PATH": str(database),
        "MPI_CACHE": cache,
        "MPI_CACHE_REMOTE_FOR": "internal",
        "MPI_CACHE_TIMEOUT": "0.25",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(valkey.port),
    }
    return build(read_settings(chosen))


def _patients(population: Path) -> Iterator[Patient]:
    with population.open(encoding="utf-8", newline="") as file:
        yield from map(traits, csv.DictReader(file))


def _only(value: float) -> Spread:
    return Spread.of([value])
