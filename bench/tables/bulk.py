"""All records of an index at once: learning without labels and scoring, beside Splink on the same pairs."""

from __future__ import annotations

from bench.bulk import SEPARATOR, Bulk
from bench.context import Run
from bench.peer import MISSING, peer
from bench.processes import asked
from bench.results import Figure, Goal, Table, at_least, more, times
from bench.statistics import Spread

_IDENTITY = f"source || '{SEPARATOR}' || source_id"
_MOST_TIME, _MOST_MEMORY, _LEAST_RATE = 2.0, 0.5, 1.0
_NOTE = (
    "Both begin with standardised records, learn from all of them without a label and score the pairs that Splink's "
    "eight blocking rules find; ours is given them, Splink has to find them. Ours works in one thread, DuckDB in one a "
    "core. Ours puts the records in columns first, which counts as time but not as scoring."
)


def table(run: Run) -> Table:
    """One round: it takes minutes."""
    index = run.index()
    if run.peers is None:
        raise RuntimeError(MISSING)
    pairs = str(run.folder / "bulk.csv")
    run.step(f"in bulk: Splink learns from {index.records:,} records")
    with peer(run.peers, "splink_peer.py") as splink:
        question = {"file": str(index.population), "identity": _IDENTITY, "pairs": pairs}
        answer = splink.ask({"do": "bulk", **question})
        theirs = Bulk(readying=0.0, peak=splink.peak, **answer)
    run.step(f"in bulk: ours weighs {theirs.pairs:,} pairs")
    question = {"database": str(index.database), "pairs": pairs}
    ours = Bulk(**asked("bench.bulk", question, "scoring in bulk"))
    return Table(
        "bulk",
        f"Learning and scoring in bulk, {index.records:,} records, {theirs.pairs:,} pairs",
        _figures(ours, theirs),
        {"records": index.records},
        tuple(filter(None, (_NOTE, index.age_note))),
    )


def _figures(ours: Bulk, theirs: Bulk) -> tuple[Figure, ...]:
    seconds, memory = ours.seconds / theirs.seconds, ours.peak / theirs.peak
    rate, their_rate = ours.pairs / ours.scoring, theirs.pairs / theirs.scoring
    return (
        _beside("learning and scoring", "s", ours.seconds, theirs.seconds,
                Goal(f"≤ {_MOST_TIME:g}× its time", seconds <= _MOST_TIME)),
        _beside("peak memory", "GiB", ours.peak / 2**30, theirs.peak / 2**30,
                Goal(f"≤ {_MOST_MEMORY:g}× its memory", memory <= _MOST_MEMORY)),
        _beside("scoring", "pairs/s", rate, their_rate, at_least(rate / their_rate, _LEAST_RATE)),
        Figure("of it putting in columns", "s", Spread.of([ours.readying])),
        _beside("of it learning", "s", ours.learning, theirs.learning),
    )  # fmt: skip


def _beside(what: str, unit: str, ours: float, theirs: float, goal: Goal | None = None) -> Figure:
    mine, rival = Spread.of([ours]), Spread.of([theirs])
    return Figure(what, unit, mine, "Splink 5", rival, times(more(mine, rival)), goal)
