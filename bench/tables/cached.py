"""Repeated queries in a closed loop, beside an equal FastAPI handler and the echo."""

from __future__ import annotations

from collections import defaultdict

from bench.context import Run
from bench.generator import Order, generate
from bench.processes import beside, environment, mpi, mpi_server, serving
from bench.queries import write_queries
from bench.results import Figure, Table, at_least, more, times
from bench.statistics import Spread

_RECORDS = 2_000
_DISTINCT = 1_000
_CONNECTIONS = 64
_GOAL = 2.0


def table(run: Run) -> Table:
    """The service with its key check and metrics; the handler without, so the comparison leans its way."""
    run.step("cached queries: a small index")
    population, database = run.folder / "cached.csv", run.folder / "cached" / "index.sqlite3"
    database.parent.mkdir(mode=0o700)
    mpi(["demo", "population", str(population), "--rows", str(_RECORDS)], database)
    mpi(["load", str(population), "--embedded", "--json"], database)
    issued = mpi(["key", "add", "bench", "--scope", "read", "--embedded", "--json"], database)
    headers = {"Authorization": f"Bearer {issued.document['secret']}"}
    bodies = run.folder / "repeated.ndjson"
    write_queries(bodies, population, _RECORDS, _DISTINCT)
    rates: dict[str, list[float]] = defaultdict(list)
    served = serving(mpi_server(), environment(database))
    with served as service, serving(beside("rival")) as rival, serving(beside("echo")) as echo:
        servers = {"service": service, "rival": rival, "echo": echo}
        for number in range(run.sizes.rounds + 1):
            with run.share(f"cached queries: round {number}", 3 * run.sizes.seconds):
                for name, server in servers.items():
                    order = Order(
                        server.port, "/mpi/match", str(bodies), 0, _CONNECTIONS,
                        run.sizes.seconds, 0.0, headers,
                    )  # fmt: skip
                    outcome = generate(order)
                    # The first round fills the caches.
                    if number:
                        rates[name].append(outcome.rate)
    ours, theirs, floor = (Spread.of(rates[name]) for name in ("service", "rival", "echo"))
    ratio = more(ours, theirs)
    what = f"{_DISTINCT:,} distinct queries repeated, {_CONNECTIONS} connections"
    return Table(
        "cached",
        "Cached queries, closed loop",
        (
            Figure(what, "requests/s", ours, "FastAPI + pydantic", theirs, times(ratio),
                   at_least(ratio, _GOAL)),
            Figure(what + ", to the ceiling", "requests/s", ours, "echo", floor,
                   times(more(ours, floor))),
        ),
        {"seconds": run.sizes.seconds, "rounds": run.sizes.rounds},
        (
            "`enroll: false`, 12 fields or more, API key checked and metrics on. The handler beside it reads the same "
            "body with pydantic, looks every field up in a dict and answers the same fields through pydantic; it "
            "checks no key and counts nothing.",
            "The echo shows how much the generator and the server stack can carry at all.",
        ),
    )  # fmt: skip
