"""Accuracy on the demo population by size, and who is wrongly merged with whom."""

from __future__ import annotations

from bench import indexes
from bench.context import Run
from bench.indexes import Index
from bench.results import Figure, Goal, Table
from bench.statistics import Spread
from mpi.matching.partition_scores import score, wrong_merges

_SIZES = (10_000, 100_000, 1_000_000)
_PRECISION = 0.9995


def table(run: Run) -> Table:
    """Smaller populations are parts of the larger ones; the largest size counts only when its index is kept."""
    figures: list[Figure] = []
    notes = [
        "A wrongly merged person holds records of two people or more; a pair of such people counts under how the two "
        "are related in truth.",
    ]
    for size in (run.sizes.load_rows,) if run.sizes.quick else _SIZES:
        if size > run.sizes.load_rows and indexes.kept(size) is None:
            notes.append(
                f"{size:,} records: `python -m bench build --records {size}` makes that index."
            )
            continue
        with run.share(f"population: {size:,} records", 2 + size / 100_000):
            index = run.fresh(size, reload=False)
            figures += _figures(size, index)
        if index.age_note:
            notes.append(index.age_note)
    title = "Accuracy on the demo population, by size"
    return Table("population", title, tuple(figures), {}, tuple(notes))


def _figures(size: int, index: Index) -> list[Figure]:
    truth, persons = index.truth(), index.persons()
    found = score(truth, persons)
    merges = wrong_merges(truth, persons, index.related())
    name = f"{size:,} records"
    goal = Goal(f"≥ {_PRECISION}", found.precision >= _PRECISION) if size == _SIZES[-1] else None
    return [
        Figure(f"{name}, precision", "share", Spread.of([found.precision]), goal=goal),
        Figure(f"{name}, recall", "share", Spread.of([found.recall])),
        Figure(f"{name}, B³", "share", Spread.of([found.b3])),
        Figure(f"{name}, wrongly merged", "per 100,000 persons", Spread.of([merges.per_100k])),
        *(
            Figure(f"{name}, of these {relation}", "pairs of people", Spread.of([count]))
            for relation, count in merges.relations.most_common()
        ),
    ]
