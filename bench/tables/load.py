"""Loading: rows a second, memory and disk, with ``mpi load`` as users run it."""

from __future__ import annotations

from bench.context import Run
from bench.datasets import find
from bench.results import Figure, Goal, Table
from bench.statistics import Spread

_GOAL = 1_500
_SET = "pseudopeople_default"


def table(run: Run) -> Table:
    """The demo population and the shared set, each row resolved against all before it and durable."""
    rows = run.sizes.load_rows
    with run.share(f"loading {rows:,} records", rows / _GOAL):
        index = run.fresh(rows)
    built = index.built
    figures = _figures(f"demo population, {rows:,} rows", built)
    dataset = find(run.data, _SET)
    notes = [
        "One process of `mpi load`; every row is resolved against all rows before it and on disk when it counts. "
        "Peak memory is the process's own; bytes are the whole database's.",
    ]
    if dataset is None:
        notes.append(f"{_SET} was not there: name its folder in MPI_BENCH_DATA or --data.")
    else:
        with run.share(f"loading {_SET}", 44_842 / _GOAL):
            loaded = run.loaded(dataset)
        figures += _figures(
            f"{_SET}, {loaded.rows:,} rows",
            {
                "rows": loaded.rows,
                "seconds": loaded.seconds,
                "peak": loaded.peak,
                "bytes": loaded.bytes,
            },
        )
    return Table("load", "Load rate, memory and disk", tuple(figures), {"rows": rows}, tuple(notes))


def _figures(what: str, built: dict[str, int | float]) -> list[Figure]:
    rate = built["rows"] / built["seconds"]
    return [
        Figure(what, "rows/s", Spread.of([rate]), goal=Goal(f"≥ {_GOAL:,} rows/s", rate >= _GOAL)),
        Figure(f"{what}, peak memory", "MiB", Spread.of([built["peak"] / 2**20])),
        Figure(
            f"{what}, database per record", "bytes", Spread.of([built["bytes"] / built["rows"]])
        ),
    ]
