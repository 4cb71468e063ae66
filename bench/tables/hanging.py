"""Verato hangs, or answers too late: nobody waits beyond the deadline, and nothing piles up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.context import Run
from bench.generator import Order, Outcome, generate
from bench.indexes import SEED, Index
from bench.processes import Server, configured_server, serving
from bench.queries import write_mixed
from bench.results import Figure, Goal, Table
from bench.statistics import Spread, percentile
from bench.tables.hybrid import SOURCES, on_a_copy
from bench.verato import simulated
from mpi.demo.population import Population
from mpi.demo.verato.faults import Fault, Kind

_RATE, _CONNECTIONS = 200, 256
_WARM_UP_S = 2.0
_SAMPLE_S = 0.05
_DEADLINE_S = 2.0
_BEYOND_MS = 50.0
_POOL = 20
_FAULTS = {
    "hangs": Fault("*", Kind.HANG, times=None),
    "takes 5 s": Fault("*", Kind.SLOW, "5000", times=None),
}
_OPEN = "mpi_provider_open "


@dataclass(slots=True)
class _Held:
    """The most threads and sockets that the service had, and the most that it left Verato alone (1: wholly)."""

    threads: int = 0
    sockets: int = 0
    left_alone: float = 0.0


def table(run: Run) -> Table:
    """One long round for each kind of trouble, which begins while requests flow."""
    index = run.index()
    seconds = 10 * run.sizes.seconds
    bodies = run.folder / "hanging.ndjson"
    warm_up = round(_RATE * _WARM_UP_S)
    write_mixed(bodies, index.population, index.records, warm_up + round(_RATE * seconds))
    figures: list[Figure] = []
    for name, fault in _FAULTS.items():
        run.step(f"Verato that {name}")
        found, held = _round(run.folder / name.replace(" ", "-"), index, fault, bodies, seconds)
        figures += _figures(name, found, held)
    return Table(
        "hanging",
        f"Grey zone while Verato hangs, {_RATE} matches/s, deadline {_DEADLINE_S:g} s, {index.records:,} records",
        tuple(figures),
        {"records": index.records, "seconds": seconds},
        (
            "All answers count, from their scheduled time. The service has at most "
            f"{_POOL} connections to Verato (CONNECTION_POOL_SIZE).",
        ),
    )


def _round(
    folder: Path, index: Index, fault: Fault, bodies: Path, seconds: float
) -> tuple[Outcome, _Held]:
    population = Population(index.records, SEED).rows()
    with simulated(folder, population, SOURCES, tps=0) as verato:
        settings = {
            "MPI_HYBRID_DEADLINE": str(_DEADLINE_S),
            "CONNECTION_POOL_SIZE": str(_POOL),
        }
        with serving(configured_server(), on_a_copy(index, folder, verato, settings)) as service:
            generate(Order(service.port, "/mpi/match", str(bodies), 0, 8, _WARM_UP_S, _RATE))
            verato.simulated.faults.add([fault])
            with _watched(service) as held:
                order = Order(
                    service.port,
                    "/mpi/match",
                    str(bodies),
                    round(_RATE * _WARM_UP_S),
                    _CONNECTIONS,
                    seconds,
                    _RATE,
                )
                return generate(order), held


@contextmanager
def _watched(service: Server) -> Iterator[_Held]:
    held, ended = _Held(), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_S):
            held.threads = max(held.threads, service.threads())
            held.sockets = max(held.sockets, service.sockets())
            held.left_alone = max(held.left_alone, _left_alone(service))

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield held
        finally:
            ended.set()
        watching.result()  # what could not be watched is not measured


def _left_alone(service: Server) -> float:
    lines = service.metrics().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(_OPEN))


def _figures(name: str, found: Outcome, held: _Held) -> Iterator[Figure]:
    most = _DEADLINE_S * 1000 + _BEYOND_MS
    p99 = percentile(found.latencies, 0.99)
    for what, value in (("p99", p99), ("slowest", max(found.latencies))):
        yield Figure(
            f"Verato {name}: answers, {what}",
            "ms",
            Spread.of([value]),
            goal=Goal(f"≤ {most:g} ms", value <= most) if what == "p99" else None,
        )
    yield Figure(
        f"Verato {name}: left alone, most",
        "share",
        Spread.of([held.left_alone]),
        goal=Goal("= 1", held.left_alone == 1),
    )
    beyond = held.sockets - _CONNECTIONS
    yield Figure(
        f"Verato {name}: sockets beside those of clients, most",
        "sockets",
        Spread.of([beyond]),
        goal=Goal(f"≤ {_POOL} and a few of its own", beyond <= _POOL + 10),
    )
    yield Figure(f"Verato {name}: threads, most", "threads", Spread.of([held.threads]))
