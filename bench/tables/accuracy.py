"""Accuracy on sets that others labelled, through ``mpi load`` and ``mpi export crosswalk``, beside Splink."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.context import Loaded, Run
from bench.datasets import Dataset, find, truth_of
from bench.peer import MISSING, peer
from bench.results import Figure, Goal, Table
from bench.statistics import Spread
from mpi.matching.partition_scores import Score, score

_SETS = ("febrl1", "febrl2", "febrl3", "splink_fake1000", "pseudopeople_default")
_PRECISION = 0.999
_RECALL = {"febrl1": 0.985, "febrl3": 0.985, "pseudopeople_default": 0.88}
_SECONDS = 8
_RENAMED = {
    "given": "first_name",
    "middle": "middle_name",
    "family": "last_name",
    "street": "address",
    "unit": "address2",
}


def table(run: Run) -> Table:
    """One shipped model, nothing tuned per set; Splink links the same rows in the same run."""
    figures: list[Figure] = []
    missing = []
    for name in _SETS[:1] + _SETS[2:4] if run.sizes.quick else _SETS:
        dataset = find(run.data, name)
        if dataset is None:
            missing.append(name)
            continue
        with run.share(f"accuracy: {name}", _SECONDS):
            loaded = run.loaded(dataset)
            rival = _splink(run, dataset) if run.peers else None
        figures += _figures(name, loaded, rival)
    notes = [
        "Pairs of records within one person, and B³ over records. Splink 5: unsupervised training on the same rows, "
        "threshold .95, connected components. One shipped model and one threshold for every set; its weights learned "
        "from all of these sets, with their labels, so ours is judged here by what it has seen "
        "(docs/explanation/how-good.md).",
        "" if run.peers else MISSING,
        (
            f"Not there: {', '.join(missing)}; name their folder in MPI_BENCH_DATA or --data."
            if missing
            else ""
        ),
    ]
    title = "Accuracy on labelled sets"
    return Table("accuracy", title, tuple(figures), {}, tuple(filter(None, notes)))


def _figures(name: str, loaded: Loaded, rival: Score | None) -> list[Figure]:
    mine = loaded.score
    wanted = _RECALL.get(name)
    rows = (
        ("precision", mine.precision, rival.precision if rival else None, wanted and _PRECISION),
        ("recall", mine.recall, rival.recall if rival else None, wanted),
        ("B³", mine.b3, rival.b3 if rival else None, None),
    )
    lost = Goal("no row lost", mine.lost == 0)
    return [
        *(_share(f"{name}, {what}", ours, theirs, goal) for what, ours, theirs, goal in rows),
        Figure(f"{name}, rows lost", "rows", Spread.of([mine.lost]), goal=lost),
    ]


def _share(what: str, ours: float, theirs: float | None, goal: float | None) -> Figure:
    return Figure(
        what=what,
        unit="share",
        ours=Spread.of([ours]),
        beside="Splink 5" if theirs is not None else "",
        theirs=Spread.of([theirs]) if theirs is not None else None,
        against=f"{ours - theirs:+.4f}" if theirs is not None else "",
        goal=Goal(f"≥ {goal:g}", ours >= goal) if goal is not None else None,
    )


def _splink(run: Run, dataset: Dataset) -> Score:
    assert run.peers is not None
    rows = dataset.rows()
    file = run.folder / f"{dataset.name}.csv"
    _write_renamed(file, rows)
    run.step(f"accuracy: Splink links {dataset.name}")
    with peer(run.peers, "splink_peer.py") as splink:
        splink.ask({"do": "open", "file": str(file), "identity": "rec_id"})
        return score(truth_of(rows), splink.ask({"do": "dedupe"})["clusters"])


def _write_renamed(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow([_RENAMED.get(column, column) for column in rows[0]])
        table.writerows(row.values() for row in rows)
