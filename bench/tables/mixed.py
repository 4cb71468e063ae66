"""A day on MongoDB: queries and registrations over many connections, then mostly repeated queries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import orjson
from pymongo import MongoClient

from bench import mongodb
from bench.context import Run
from bench.generator import Order, Outcome, generate
from bench.processes import Server, beside, environment, mpi_server, serving
from bench.queries import write_queries
from bench.results import Figure, Goal, Table
from bench.statistics import Spread, percentile

_WORKERS = 2
_CONNECTIONS = 1_000
_RATE, _EVERY = 500, 5
"""Requests a second; of so many one registers a patient."""
_HOT_RATE, _HOT, _FRESH_EVERY = 2_000, 1_000, 10
"""Requests a second, of which all but one in so many repeat one of the hot queries."""
_ABOVE_ECHO = 20.0
_P95, _P99 = 50.0, 100.0
_DRIFT = 5.0
_LAP = 60.0
"""Seconds between two looks at the echo."""
_ECHO_SHARE = 0.2
_COMMITS = 5.0
_HITS = re.compile(r"^mpi_cache_hits_total\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class _Day:
    ours: list[Outcome] = field(default_factory=list)
    echo: list[Outcome] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


class _Requests:
    """A file of bodies, taken from its front: none is sent twice."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken = 0

    def ask(self, server: Server, connections: int, seconds: float, rate: float) -> Outcome:
        """Send the next ones."""
        order = Order(
            server.port, "/mpi/match", str(self.path), self._taken, connections, seconds, rate
        )
        outcome = generate(order, tolerant=True)
        self._taken += round(rate * seconds) if rate else len(outcome.latencies) + connections
        return outcome


def table(run: Run) -> Table:
    """Two workers; the echo takes its turn in each lap. All share the cores with MongoDB and the generator."""
    index = run.index()
    seconds = 60 * run.sizes.minutes
    run.step("making up requests")
    traffic, commits, hot = _write(run, seconds, index.population, index.records)
    run.step("copying the index in MongoDB")
    with mongodb.copied(index, run.folder) as settings:
        served = serving(mpi_server(_WORKERS, "mongodb"), environment(index.database, settings))
        with served as service, serving(beside("echo")) as floor:
            day, busy = _Day(), _Day()
            rates = [
                commits.ask(service, connections, _COMMITS, 0.0).rate for connections in (1, 64)
            ]
            traffic.ask(service, _CONNECTIONS, 5.0, _RATE)
            _spend(run, day, traffic, (service, floor), (_CONNECTIONS, seconds, _RATE))
            for server in (service, floor):
                hot.ask(server, 64, 2 * _HOT / _HOT_RATE, _HOT_RATE)
            before = _hits(service)
            part = (64, run.sizes.seconds * run.sizes.rounds, _HOT_RATE)
            _spend(run, busy, hot, (service, floor), part)
            hits = 100 * (_hits(service) - before) / sum(len(o.latencies) for o in busy.ours)
            size = _bytes(settings["MONGODB_URI"])
    mix = f"{_CONNECTIONS:,} connections, {_RATE}/s"
    return Table(
        "mixed",
        f"Two workers on MongoDB, {index.records:,} records",
        (
            *_latencies(mix, day),
            _errors(mix, day),
            _drift(day),
            *_latencies(f"{_HOT_RATE:,}/s", busy),
            _errors(f"{_HOT_RATE:,}/s", busy),
            Figure(f"{_HOT_RATE:,}/s, answered from memory", "%", Spread.of([hits])),
            Figure("registrations, one after the other", "commits/s", Spread.of([rates[0]])),
            Figure("registrations, 64 side by side", "commits/s", Spread.of([rates[1]])),
            *(Figure(name, "bytes", Spread.of([value])) for name, value in size.items()),
        ),
        {"records": index.records, "minutes": run.sizes.minutes, "seconds": run.sizes.seconds},
        tuple(
            filter(
                None,
                (
                    f"An open loop of {seconds / 60:g} minutes; one request in {_EVERY} registers a patient. Latency "
                    "counts from the scheduled time; the echo ran in the same minutes. Memory is that of all workers, "
                    "its drift that from a quarter of the time to the end.",
                    "MongoDB, the generator and the workers share the cores.",
                    index.age_note,
                ),
            )
        ),
    )


def _write(
    run: Run, seconds: float, population: Path, records: int
) -> tuple[_Requests, _Requests, _Requests]:
    """Mixed traffic, registrations alone, and repeated queries with some fresh ones."""
    mixed = round(_RATE * (seconds + 5))
    registrations = 10_000
    repeated = round(_HOT_RATE * run.sizes.seconds * run.sizes.rounds) + 2 * 2 * _HOT
    everything = run.folder / "mixed-all.ndjson"
    count = mixed + registrations + _HOT + repeated // _FRESH_EVERY + 1
    write_queries(everything, population, records, count)
    with everything.open("rb") as lines:
        paths = [run.folder / f"mixed-{name}.ndjson" for name in ("day", "commits", "hot")]
        taken = (line.rstrip(b"\n") for line in lines)
        _fill(
            paths[0],
            (
                line if number % _EVERY else _registered(line, number)
                for number, line in enumerate(islice(taken, mixed))
            ),
        )
        _fill(
            paths[1],
            (_registered(line, mixed + n) for n, line in enumerate(islice(taken, registrations))),
        )
        known = list(islice(taken, _HOT))
        _fill(
            paths[2],
            (
                known[number % _HOT] if number < 4 * _HOT or number % _FRESH_EVERY else next(taken)
                for number in range(repeated)
            ),
        )
    everything.unlink()
    day, commits, hot = map(_Requests, paths)
    return day, commits, hot


def _fill(path: Path, bodies: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(body + b"\n" for body in bodies)


def _registered(body: bytes, number: int) -> bytes:
    patient = orjson.loads(body)["patient_data"]
    return orjson.dumps({"patient_data": patient, "source": "BENCH", "source_id": str(number)})


def _spend(
    run: Run,
    day: _Day,
    requests: _Requests,
    servers: tuple[Server, Server],
    part: tuple[int, float, int],
) -> None:
    """Ask the service for so long, in laps; each begins with the same traffic against the echo, but shorter."""
    connections, seconds, rate = part
    service, floor = servers
    laps = max(4, round(seconds / _LAP))
    lap = seconds / laps
    echo = _Requests(requests.path)
    for number in range(laps):
        with run.share(f"mixed: {rate:,}/s, lap {number + 1} of {laps}", lap * (1 + _ECHO_SHARE)):
            day.echo.append(echo.ask(floor, connections, lap * _ECHO_SHARE, rate))
            day.ours.append(requests.ask(service, connections, lap, rate))
            day.memory.append(service.resident())


def _latencies(what: str, day: _Day) -> Iterator[Figure]:
    for name, share in {"p50": 0.50, "p95": 0.95, "p99": 0.99}.items():
        mine, floor = (
            percentile([ms for outcome in outcomes for ms in outcome.latencies], share)
            for outcomes in (day.ours, day.echo)
        )
        goals = {
            "p95": Goal(f"original: < {_P95:g} ms", mine < _P95),
            "p99": Goal(
                f"≤ echo + {_ABOVE_ECHO:g} ms, original: < {_P99:g} ms",
                mine <= floor + _ABOVE_ECHO and mine < _P99,
            ),
        }
        yield Figure(
            f"{what}, {name}",
            "ms",
            Spread.of([mine]),
            "echo",
            Spread.of([floor]),
            f"{mine - floor:+.2f} ms",
            goals.get(name),
        )


def _errors(what: str, day: _Day) -> Figure:
    wrong = sum(outcome.errors + outcome.unanswered for outcome in day.ours)
    asked = sum(len(outcome.latencies) for outcome in day.ours)
    return Figure(
        f"{what}, errors among {asked:,}", "answers", Spread.of([wrong]), goal=Goal("0", wrong == 0)
    )


def _drift(day: _Day) -> Figure:
    first, last = day.memory[len(day.memory) // 4], day.memory[-1]
    drift = 100 * (last - first) / first
    return Figure(
        f"memory of the workers at the end {last / 2**20:,.0f} MiB, drift",
        "%",
        Spread.of([drift]),
        goal=Goal(f"± {_DRIFT:g} %", abs(drift) <= _DRIFT),
    )


def _hits(service: Server) -> float:
    return sum(map(float, _HITS.findall(service.metrics())))


def _bytes(uri: str) -> dict[str, float]:
    """What a record takes with all that belongs to it, and what of it is indexes."""
    with MongoClient[dict[str, object]](uri) as client:
        found = client[mongodb.DATABASE].command("dbstats")
        records = client[mongodb.DATABASE]["record"].estimated_document_count()
    return {
        "on disk per record": found["totalSize"] / records,
        "of it indexes": found["indexSize"] / records,
    }
