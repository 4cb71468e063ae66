"""How many calls to Verato our own matching saves, and how right both ways are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.context import Run
from bench.results import Figure, Goal, Table
from bench.statistics import Spread
from bench.verato import Verato, simulated
from mpi.bootstrap.container import build
from mpi.demo.blocks import Registration
from mpi.demo.facilities import FACILITIES
from mpi.demo.population import Population
from mpi.domain.registration import read_flat
from mpi.matching.partition_scores import Score, score
from mpi.settings import read_settings

_SEED = 20
_REGISTRATIONS_PER_PERSON = 1 / 0.7  # 30 % of all registrations are of somebody who is known
_MOST_CALLS = 0.20
_STRATEGIES = ("verato_first", "grey_zone")


@dataclass(frozen=True, slots=True)
class _Outcome:
    calls: int
    tasks: int
    score: Score


def table(run: Run) -> Table:
    """The same registrations, one after the other, with each strategy on an index and a Verato of its own."""
    count = run.sizes.registrations
    rows = list(Population(count, _SEED, mean_registrations=_REGISTRATIONS_PER_PERSON).rows())
    repeats = 1 - len({truth.entity_id for _, truth in rows}) / count
    found = {}
    for strategy in _STRATEGIES:
        with run.share(f"saving: {strategy}", count / 100):
            found[strategy] = _measured(run.folder / f"saving-{strategy}", strategy, rows)
    return Table(
        "saving",
        f"Calls to Verato for {count:,} registrations, {repeats:.0%} of them of somebody known",
        tuple(_figures(found, count)),
        {"registrations": count},
        (
            "grey_zone beside verato_first. Verato is simulated with the errors that it states: it finds 93.5 % of the "
            "pairs and links 1 registration in 2,500 wrongly. Registrations come one by one. Tasks that wait for "
            "a steward count as not linked.",
        ),
    )


def _measured(folder: Path, strategy: str, rows: list[Registration]) -> _Outcome:
    sources = tuple(facility.name for facility in FACILITIES.items)
    with simulated(folder, rows, sources, tps=0) as verato:
        return asyncio.run(_enrolled(folder, strategy, rows, verato))


async def _enrolled(
    folder: Path, strategy: str, rows: list[Registration], verato: Verato
) -> _Outcome:
    settings = verato.settings | {
        "MPI_STORE": "sqlite",
        "MPI_CACHE": "memory",
        "MPI_SQLITE_PATH": str(folder / "index.sqlite3"),
        "MPI_HYBRID_STRATEGY": strategy,
        "MPI_HYBRID_DEADLINE": "30",
        "VERATO_MAX_TPS": "100000",
        "VERATO_RAMP_PER_MIN": "1000000000",
    }
    service = build(read_settings(settings))
    await service.open()
    truth, answer = {}, {}
    for row, person in rows:
        submission, _ = read_flat(row)
        found = await service.index.resolve(submission, actor="bench")
        if found.provisional:
            raise RuntimeError("the simulated Verato gave no answer")
        truth[f"{row['source']}|{row['source_id']}"] = person.entity_id
    async for key, mpi_id in service.index.crosswalk():
        answer[f"{key.source}|{key.source_id}"] = mpi_id
    tasks = (await service.index.statistics())["tasks_open"]
    await service.close()
    return _Outcome(verato.calls, tasks, score(truth, answer))


def _figures(found: Mapping[str, _Outcome], count: int) -> list[Figure]:
    first, grey = (found[strategy] for strategy in _STRATEGIES)
    share = grey.calls / first.calls
    precise = Goal("not lower", grey.score.precision >= first.score.precision)
    rows = (
        ("calls per 1,000 registrations", "calls", 1000 * grey.calls / count,
         1000 * first.calls / count, Goal(f"≤ {_MOST_CALLS:.0%}", share <= _MOST_CALLS)),
        ("precision", "share", grey.score.precision, first.score.precision, precise),
        ("recall", "share", grey.score.recall, first.score.recall, None),
        ("B³", "share", grey.score.b3, first.score.b3, None),
        ("tasks per 1,000 registrations", "tasks", 1000 * grey.tasks / count,
         1000 * first.tasks / count, None),
    )  # fmt: skip
    return [
        Figure(
            what,
            unit,
            Spread.of([ours]),
            beside="verato_first",
            theirs=Spread.of([theirs]),
            against=f"{share:.1%}" if unit == "calls" else f"{ours - theirs:+.4f}",
            goal=goal,
        )
        for what, unit, ours, theirs, goal in rows
    ]
