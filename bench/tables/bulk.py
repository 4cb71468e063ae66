"""All records of an index at once: learning without labels and scoring, beside Splink on the same pairs."""

from __future__ import annotations

import json
import subprocess
import sys

from bench import CHECKOUT
from bench.bulk import SEPARATOR, Bulk
from bench.context import Run
from bench.indexes import Index
from bench.peer import MISSING, peer
from bench.results import Figure, Goal, Table, at_least, faster, more, times
from bench.statistics import Spread

_IDENTITY = f"source || '{SEPARATOR}' || source_id"
_SLOWER, _MEMORY, _RATE = 2.0, 2.0, 1.0
_GIB = 2**30


def table(run: Run) -> Table:
    """One round: it takes minutes."""
    index = run.index()
    if run.peers is None:
        raise RuntimeError(MISSING)
    pairs = run.folder / "bulk.csv"
    run.step(f"in bulk: Splink learns from {index.records:,} records")
    with peer(run.peers, "splink_peer.py") as splink:
        question = {"file": str(index.population), "identity": _IDENTITY, "pairs": str(pairs)}
        theirs = Bulk(readying=0.0, **splink.ask({"do": "bulk", **question}))
    run.step(f"in bulk: ours weighs {theirs.pairs:,} pairs")
    ours = _ours(index, str(pairs))
    return Table(
        "bulk",
        f"Learning and scoring in bulk, {index.records:,} records, {theirs.pairs:,} pairs",
        _figures(ours, theirs),
        {"records": index.records},
        tuple(filter(None, (_NOTE, index.age_note))),
    )


_NOTE = (
    "Both begin with standardised records, learn from all of them without a label and score the pairs that Splink's "
    "eight blocking rules find; ours is given them, Splink has to find them. Ours works in one thread, DuckDB in one a "
    "core. Ours puts the records in columns first, which counts as time but not as scoring."
)


def _ours(index: Index, pairs: str) -> Bulk:
    asked = json.dumps({"database": str(index.database), "pairs": pairs})
    done = subprocess.run(
        [sys.executable, "-m", "bench.bulk"],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    if done.returncode:
        raise RuntimeError(f"scoring in bulk failed: {done.stderr.strip()[-400:]}")
    return Bulk(**json.loads(done.stdout))


def _figures(ours: Bulk, theirs: Bulk) -> tuple[Figure, ...]:
    mine, rival = Spread.of([ours.seconds]), Spread.of([theirs.seconds])
    longer = 1 / faster(mine, rival)
    memory, their_memory = Spread.of([ours.peak / _GIB]), Spread.of([theirs.peak / _GIB])
    less = 1 / more(memory, their_memory)
    rate = Spread.of([ours.pairs / ours.scoring])
    their_rate = Spread.of([theirs.pairs / theirs.scoring])
    ahead = more(rate, their_rate)
    within = Goal(f"≤ {_SLOWER:g}× its time", longer <= _SLOWER)
    half = Goal(f"≤ 1/{_MEMORY:g} of its memory", less >= _MEMORY)
    return (
        Figure("learning and scoring", "s", mine, "Splink 5", rival, times(longer), within),
        Figure("peak memory", "GiB", memory, "Splink 5", their_memory, times(1 / less), half),
        Figure(
            "scoring", "pairs/s", rate, "Splink 5", their_rate, times(ahead), at_least(ahead, _RATE)
        ),
        Figure("of it putting in columns", "s", Spread.of([ours.readying])),
        Figure(
            "of it learning",
            "s",
            Spread.of([ours.learning]),
            "Splink 5",
            Spread.of([theirs.learning]),
        ),
    )
