"""Order independence: the same records in random orders must end as the same persons."""

from __future__ import annotations

from bench.context import Run
from bench.datasets import find, load_arguments, sample, shuffled, write
from bench.results import Figure, Goal, Table
from bench.statistics import Spread

_SETS = ("febrl3", "pseudopeople_default")
_ORDERS = 3
_RECORDS = 5_000
_WITHIN = 0.003


def table(run: Run) -> Table:
    """B³ over random orders; the spread is the figure."""
    count = 1_000 if run.sizes.quick else _RECORDS
    figures, missing = [], []
    for name in _SETS:
        dataset = find(run.data, name)
        if dataset is None:
            missing.append(name)
            continue
        rows = sample(dataset.rows(), count)
        scores = []
        for order in range(1, _ORDERS + 1):
            with run.share(f"order: {name}, order {order}", count / 1_000):
                file = run.folder / f"{name}-order-{order}.csv"
                write(file, shuffled(rows, order))
                arguments = load_arguments(file, name)
                scores.append(run.load_set(file.stem, arguments, rows).score.b3)
        spread = max(scores) - min(scores)
        goal = Goal(f"≤ {_WITHIN:g}", spread <= _WITHIN)
        what = f"{name}, {len(rows):,} records"
        figures += [
            Figure(f"{what}, B³", "share", Spread.of(scores)),
            Figure(f"{what}, B³ apart", "share", Spread.of([spread]), goal=goal),
        ]
    absent = f"Not there: {', '.join(missing)}; name their folder in MPI_BENCH_DATA or --data."
    return Table(
        "order",
        f"The same records in {_ORDERS} random orders",
        tuple(figures),
        {"records": count},
        (absent,) if missing else (),
    )
