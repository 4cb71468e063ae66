"""Mixed traffic while Verato is slow and narrow: who needs it not must not notice it, and its limit holds."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from bench.context import Run
from bench.generator import Order, Outcome, generate
from bench.indexes import SEED, Index
from bench.processes import Server, beside, configured_server, environment, serving
from bench.queries import SOURCE, write_mixed
from bench.results import Figure, Goal, Table
from bench.statistics import Spread, percentile
from bench.verato import Verato, simulated
from mpi.demo.facilities import FACILITIES
from mpi.demo.population import Population
from mpi.stores.sqlite.backup import key_file

_RATE, _CONNECTIONS = 200, 64
_TPS, _LATENCY_MS = 10, 400
_ABOVE_ECHO_MS = 20.0
_WARM_UP_S = 2.0
_SAMPLE_S = 0.05
SOURCES = tuple({SOURCE, *(facility.name for facility in FACILITIES.items)})
"""The systems whose registrations Verato takes."""


def table(run: Run) -> Table:
    """One long round of the service, and one of the echo."""
    index = run.index()
    seconds = 10 * run.sizes.seconds
    bodies = run.folder / "mixed.ndjson"
    run.step("mixed traffic with a slow Verato")
    warm_up = round(_RATE * _WARM_UP_S)
    write_mixed(bodies, index.population, index.records, warm_up + round(_RATE * seconds))
    population = Population(index.records, SEED).rows()
    folder = run.folder / "hybrid"
    pace = {"tps": _TPS, "latency_ms": _LATENCY_MS}
    own = {"VERATO_MAX_TPS": str(_TPS)}
    with (
        simulated(folder, population, SOURCES, **pace) as verato,
        serving(configured_server(), on_a_copy(index, folder, verato, own)) as service,
        serving(beside("echo")) as floor,
        _watched(verato) as seen,
    ):
        for server in (service, floor):
            generate(Order(server.port, "/mpi/match", str(bodies), 0, 8, _WARM_UP_S, _RATE))
        echo, ours = (
            generate(
                Order(server.port, "/mpi/match", str(bodies), warm_up, _CONNECTIONS, seconds, _RATE)
            )
            for server in (floor, service)
        )
        backlog = _backlog(service)
    return Table(
        "hybrid",
        f"Grey zone with Verato at {_LATENCY_MS} ms and {_TPS} requests/s, {_RATE} matches/s, "
        f"{index.records:,} records",
        tuple(_figures(ours, echo, max(seen, default=0), verato.refused, backlog)),
        {"records": index.records, "seconds": seconds},
        (_note(ours),),
    )


def on_a_copy(
    index: Index, folder: Path, verato: Verato, settings: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a service that asks the simulated Verato, on a copy of the index: it registers."""
    copy = folder / index.database.name
    shutil.copyfile(index.database, copy)
    with copy.open("rb") as written:
        os.fsync(written.fileno())  # now, rather than while something is measured
    shutil.copyfile(key_file(index.database), key_file(copy))
    own = {"MPI_STORE": "sqlite", "MPI_CACHE": "memory", **settings}
    return environment(copy) | verato.settings | own


@contextmanager
def _watched(verato: Verato) -> Iterator[list[int]]:
    """The calls that Verato received in each second before a moment, many moments."""
    seen: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        counts: list[tuple[float, int]] = []
        while not ended.wait(_SAMPLE_S):
            now = monotonic()
            counts.append((now, verato.calls))
            # No longer than a second: at a longer one the limit allows one call more.
            within = [calls for at, calls in counts if at >= now - 1]
            seen.append(within[-1] - within[0])

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield seen
    finally:
        ended.set()
        watching.join()


def _backlog(service: Server) -> float:
    """Errands that wait to be said to Verato, as the service counts them."""
    lines = service.metrics().splitlines()
    waiting = [line for line in lines if line.startswith("mpi_outbox_waiting{")]
    return sum(float(line.split()[-1]) for line in waiting)


def _figures(
    ours: Outcome, echo: Outcome, most: int, refused: int, backlog: float
) -> Iterator[Figure]:
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        mine, floor = percentile(ours.own, share), percentile(echo.latencies, share)
        yield Figure(
            f"answers that need no Verato, {name}",
            "ms",
            Spread.of([mine]),
            beside="echo",
            theirs=Spread.of([floor]),
            against=f"{mine - floor:+.2f} ms",
            goal=(
                Goal(f"≤ echo + {_ABOVE_ECHO_MS:g} ms", mine <= floor + _ABOVE_ECHO_MS)
                if name == "p99"
                else None
            ),
        )
    share = len(ours.own) / len(ours.latencies)
    yield Figure("answers that need no Verato", "share", Spread.of([share]))
    limit = Goal(f"≤ {_TPS}", most <= _TPS and not refused)
    yield Figure(
        "calls that Verato received within a second, most", "calls", Spread.of([most]), goal=limit
    )
    yield Figure("errands that wait at the end", "errands", Spread.of([backlog]))


def _note(ours: Outcome) -> str:
    statuses = Counter(ours.statuses)
    shares = ", ".join(f"{name} {n / statuses.total():.0%}" for name, n in sorted(statuses.items()))
    return (
        "Half of the requests are registrations under new numbers, half queries; half are altered copies of stored "
        f"registrations, half people nobody registered. Answers: {shares}."
    )
