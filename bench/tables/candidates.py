"""How many records a query is compared with, and how often a block is too large to be read whole."""

from __future__ import annotations

import asyncio
from itertools import islice

import orjson

from bench.context import Run
from bench.indexes import Index
from bench.queries import write_queries
from bench.results import Figure, Table
from bench.statistics import Spread, percentile
from mpi.bootstrap.container import build
from mpi.domain.identity import Neighbourhood
from mpi.domain.registration import read_flat
from mpi.matching.blocking import blocking_keys
from mpi.matching.standardize import standardize
from mpi.settings import EMBEDDED, read_settings

_QUERIES = 2_000


def table(run: Run) -> Table:
    """Candidates as the store hands them out, for queries like those of the latency table."""
    index = run.index()
    bodies = run.folder / "candidates.ndjson"
    count = _QUERIES // 10 if run.sizes.quick else _QUERIES
    write_queries(bodies, index.population, index.records, count)
    with bodies.open("rb") as lines:
        patients = [orjson.loads(line)["patient_data"] for line in islice(lines, count)]
    with run.share("candidates per query", 5):
        around = asyncio.run(_neighbourhoods(index, patients))
    records = [sum(len(person.records) for person in found.persons) for found in around]
    persons = [len(found.persons) for found in around]
    narrowed = [found.narrowed for found in around]
    figures = [
        *_distribution("records per query", records),
        *_distribution("persons per query", persons),
        Figure("queries with a narrowed block", "share",
               Spread.of([sum(map(bool, narrowed)) / len(narrowed)])),
        Figure("narrowed blocks per query", "blocks", Spread.of([sum(narrowed) / len(narrowed)])),
    ]  # fmt: skip
    return Table(
        "candidates",
        f"Candidates per query, {index.records:,} records",
        tuple(figures),
        {"records": index.records, "queries": count},
        (index.age_note,) if index.age_note else (),
    )


async def _neighbourhoods(index: Index, patients: list[dict[str, str]]) -> list[Neighbourhood]:
    overrides = dict(EMBEDDED) | {"MPI_SQLITE_PATH": str(index.database)}
    container = build(read_settings(overrides), create=False)
    try:
        await container.open()
        return [
            await container.store.candidates(
                blocking_keys(standardize(read_flat(patient)[0].demographics)[0])
            )
            for patient in patients
        ]
    finally:
        await container.close()


def _distribution(what: str, counts: list[int]) -> list[Figure]:
    mean = sum(counts) / len(counts)
    return [
        Figure(f"{what}, mean", "records" if "records" in what else "persons", Spread.of([mean])),
        *(
            Figure(f"{what}, p{share}", what.partition(" ")[0],
                   Spread.of([percentile(counts, share / 100)]))
            for share in (50, 95, 99, 100)
        ),
    ]  # fmt: skip
