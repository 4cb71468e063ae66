"""Latency of uncached queries in an open loop, beside an echo on the same server stack."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from bench.context import NAMED, Run
from bench.generator import Order, Outcome, generate
from bench.processes import Server, beside, serving
from bench.queries import LEAST_FIELDS, write_queries
from bench.results import Figure, Goal, Table
from bench.statistics import Spread, percentile

CONNECTIONS = (1, 64, 1000)
_SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
_ABOVE_ECHO = {"p50": 1.0, "p99": 8.0}
_ORIGINAL = {"p95": 50.0, "p99": 100.0}
_ORIGINAL_RATE = 500
_WARM_UP = 1.0

Rounds = dict[tuple[int, int], list[Outcome]]


def table(run: Run) -> Table:
    """Rounds of the service and of the echo in turn; each round's queries are used once."""
    index = run.index()
    bodies = run.folder / "queries.ndjson"
    run.step("making up queries")
    write_queries(bodies, index.population, index.records, _needed(run))
    ours: Rounds = defaultdict(list)
    echo: Rounds = defaultdict(list)
    with run.service(index) as service, serving(beside("echo")) as floor:
        first = _warm_up(bodies, service, floor)
        for number in range(run.sizes.rounds):
            for connections in CONNECTIONS:
                for rate in run.sizes.rates:
                    label = f"{_clients(connections)}, {rate}/s, round {number + 1}"
                    pair = [(service, ours), (floor, echo)]
                    with run.share(f"latency: {label}", 2 * run.sizes.seconds):
                        for server, found in pair if number % 2 == 0 else reversed(pair):
                            order = _order(run, bodies, server, first, connections, rate)
                            found[connections, rate].append(generate(order))
                    first += round(rate * run.sizes.seconds)
    return Table(
        "latency",
        f"Latency of an uncached query, {index.records:,} records in {NAMED[run.sizes.store]}, open loop",
        (
            *_figures(ours, echo),
            Figure("the service, peak memory", "MiB", Spread.of([service.peak / 2**20])),
        ),
        {
            "records": index.records,
            "seconds": run.sizes.seconds,
            "rounds": run.sizes.rounds,
            "store": run.sizes.store,
        },
        _notes(ours, index.age_note),
    )


def _needed(run: Run) -> int:
    a_round = sum(round(rate * run.sizes.seconds) for rate in run.sizes.rates)
    return a_round * len(CONNECTIONS) * run.sizes.rounds + round(_ORIGINAL_RATE * _WARM_UP)


def _warm_up(bodies: Path, *servers: Server) -> int:
    """One unmeasured second each; answers how many queries it used up."""
    for server in servers:
        generate(Order(server.port, "/mpi/match", str(bodies), 0, 64, _WARM_UP, _ORIGINAL_RATE))
    return round(_ORIGINAL_RATE * _WARM_UP)


def _order(
    run: Run, bodies: Path, server: Server, first: int, connections: int, rate: int
) -> Order:
    return Order(
        server.port, "/mpi/match", str(bodies), first, connections, run.sizes.seconds, rate
    )


def _clients(connections: int) -> str:
    return f"{connections:,} connection{'s' if connections > 1 else ''}"


def _figures(ours: Rounds, echo: Rounds) -> list[Figure]:
    figures = []
    for (connections, rate), rounds in ours.items():
        for name, share in _SHARES.items():
            mine = Spread.of([percentile(r.latencies, share) for r in rounds])
            floor = Spread.of([percentile(r.latencies, share) for r in echo[connections, rate]])
            figures.append(
                Figure(
                    what=f"{_clients(connections)}, {rate}/s, {name}",
                    unit="ms",
                    ours=mine,
                    beside="echo",
                    theirs=floor,
                    against=f"{mine.median - floor.median:+.2f} ms",
                    goal=_goal(name, rate, mine.median, floor.median),
                )
            )
    return figures


def _goal(name: str, rate: int, ours: float, floor: float) -> Goal | None:
    if rate != _ORIGINAL_RATE:
        return None
    words, met = [], True
    if (above := _ABOVE_ECHO.get(name)) is not None:
        words.append(f"≤ echo + {above:g} ms")
        met = ours <= floor + above
    if (limit := _ORIGINAL.get(name)) is not None:
        words.append(f"original: < {limit:g} ms")
        met = met and ours < limit
    return Goal(", ".join(words), met)


def _notes(ours: Rounds, age: str) -> tuple[str, ...]:
    outcomes = [outcome for rounds in ours.values() for outcome in rounds]
    statuses = sum((Counter(outcome.statuses) for outcome in outcomes), Counter())
    asked = sum(statuses.values())
    shares = ", ".join(f"{status} {n / asked:.0%}" for status, n in sorted(statuses.items()))
    unanswered = sum(outcome.unanswered for outcome in outcomes)
    notes = [
        "Latency counts from the scheduled time. Every query is sent once, has at least "
        f"{LEAST_FIELDS} fields and enrolls nothing; half are altered copies of stored records, half are people "
        f"nobody registered. Answers: {shares}.",
        "One worker; nothing is pinned to a core; the generator is a process of its own (plain sockets).",
    ]
    if unanswered:
        notes.append(
            f"{unanswered:,} queries were not answered within ten seconds of their round's end; "
            "they count with the time they had waited."
        )
    return (*notes, age) if age else tuple(notes)
