"""Where the time of one match goes, stage by stage, in the process that does the work."""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from statistics import fmean
from time import perf_counter
from typing import TypeVar

from bench.context import Run
from bench.indexes import Index
from bench.queries import write_queries
from bench.results import Figure, Table
from bench.statistics import Spread
from mpi.api.rendering import answer
from mpi.api.submissions import parse_match
from mpi.bootstrap.container import Container, build
from mpi.matching.blocking import blocking_keys
from mpi.matching.decision import decide
from mpi.matching.model import Model, load_default_model
from mpi.matching.standardize import standardize
from mpi.service.answers import MatchAnswer
from mpi.settings import EMBEDDED, read_settings

T = TypeVar("T")

_QUERIES = 1_000
_STAGES = ("parse", "standardise", "keys", "candidates", "decide", "encode")
_WHOLE = "the whole match"
_NOTE = (
    "Means over queries, inside one process and without HTTP; the share is that of the whole match. "
    "`make profile` draws a flame graph of a running service."
)

Times = dict[str, list[float]]


def table(run: Run) -> Table:
    """Each stage is called alone, as the service calls it; the rest is what lies between them."""
    index = run.index()
    bodies = run.folder / "profile.ndjson"
    count = _QUERIES // 10 if run.sizes.quick else _QUERIES
    write_queries(bodies, index.population, index.records, count * (run.sizes.rounds + 1))
    rounds: list[Times] = []
    pauses: list[float] = []
    with bodies.open("rb") as lines, run.share("profile of a match", 3 * run.sizes.rounds):
        queries = [[*islice(lines, count)] for _ in range(run.sizes.rounds + 1)]
        started = perf_counter()
        with _noting(pauses):
            rounds = asyncio.run(_measure(index, queries))[1:]
        taken = (perf_counter() - started) * 1_000
    return Table(
        "profile",
        f"Where the time of an uncached query goes, {index.records:,} records",
        (*_figures(rounds), *_collections(pauses, taken, rounds)),
        {"records": index.records, "queries": count, "rounds": run.sizes.rounds},
        tuple(filter(None, (_NOTE, index.age_note))),
    )


def _figures(rounds: list[Times]) -> list[Figure]:
    medians = {
        stage: Spread.of([fmean(times[stage]) for times in rounds]) for stage in (*_STAGES, _WHOLE)
    }
    whole = medians[_WHOLE]
    rest = whole.median - sum(medians[stage].median for stage in _STAGES)
    rows = [*((stage, medians[stage]) for stage in _STAGES), ("the rest", Spread.of([rest]))]
    return [
        *(
            Figure(stage, "µs", spread, _WHOLE, whole, f"{spread.median / whole.median:.0%}")
            for stage, spread in rows
        ),
        Figure(_WHOLE, "µs", whole),
    ]


def _collections(pauses: list[float], taken: float, rounds: list[Times]) -> list[Figure]:
    """What the tail of the latency is made of: nothing is answered while garbage is collected."""
    slowest = max(max(times[_WHOLE]) for times in rounds) / 1_000
    collecting, everything = Spread.of([sum(pauses)]), Spread.of([taken])
    share = f"{collecting.median / taken:.0%}"
    return [
        Figure("the slowest match", "ms", Spread.of([slowest])),
        Figure("the longest garbage collection", "ms", Spread.of([max(pauses, default=0.0)])),
        Figure("all garbage collections", "ms", collecting, "this table", everything, share),
    ]


@contextmanager
def _noting(pauses: list[float]) -> Iterator[None]:
    """Note how long each garbage collection of the block takes, in milliseconds."""
    started = 0.0

    def note(phase: str, _: dict[str, int]) -> None:
        nonlocal started
        if phase == "start":
            started = perf_counter()
        else:
            pauses.append((perf_counter() - started) * 1_000)

    gc.callbacks.append(note)
    try:
        yield
    finally:
        gc.callbacks.remove(note)


async def _measure(index: Index, queries: list[list[bytes]]) -> list[Times]:
    """Times of each stage and round, in microseconds. Whole matches use other queries than stages do."""
    overrides = dict(EMBEDDED) | {"MPI_SQLITE_PATH": str(index.database)}
    container, model = build(read_settings(overrides), create=False), load_default_model()
    rounds = []
    try:
        await container.open()
        for bodies in queries:
            times: Times = defaultdict(list)
            for number, body in enumerate(bodies):
                # Known and unknown people alternate, so both kinds of measuring see both in turn.
                measure = _whole if number // 2 % 2 else _stages
                await measure(container, model, body, times)
            rounds.append(times)
    finally:
        await container.close()
    return rounds


async def _whole(container: Container, _: Model, body: bytes, times: Times) -> None:
    started = perf_counter()
    answer(await _resolve(container, body))
    times[_WHOLE].append((perf_counter() - started) * 1e6)


async def _resolve(container: Container, body: bytes) -> MatchAnswer:
    asked = parse_match(body)
    return await container.index.resolve(asked.submission, enroll=False, actor="bench")


async def _stages(container: Container, model: Model, body: bytes, times: Times) -> None:
    asked = _timed(times["parse"], lambda: parse_match(body))
    demographics = asked.submission.demographics
    standard, _ = _timed(times["standardise"], lambda: standardize(demographics))
    keys = _timed(times["keys"], lambda: blocking_keys(standard))
    around = await _awaited(times["candidates"], lambda: container.store.candidates(keys))
    size = around.index_size
    _timed(
        times["decide"],
        lambda: decide(standard, None, around.persons, around.assertions, model, size),
    )
    found = await _resolve(container, body)
    _timed(times["encode"], lambda: answer(found))


def _timed(into: list[float], work: Callable[[], T]) -> T:
    started = perf_counter()
    result = work()
    into.append((perf_counter() - started) * 1e6)
    return result


async def _awaited(into: list[float], work: Callable[[], Awaitable[T]]) -> T:
    started = perf_counter()
    result = await work()
    into.append((perf_counter() - started) * 1e6)
    return result
