"""What the matching is held to: one figure for each promise, on labelled sets and on noise profiles."""

from __future__ import annotations

import asyncio

import numpy as np

from bench.context import Run
from bench.datasets import RENAME, find, profile_set
from bench.results import Figure, Goal, Table
from bench.statistics import Spread
from mpi.evaluation.labelled import LabelledFile
from mpi.evaluation.training_data import unlabelled
from mpi.evaluation.trial import JudgedPairs, Trial, judge
from mpi.matching.expectation import learn
from mpi.matching.model import load_anchors
from mpi.matching.pair_scores import PairScores
from mpi.matching.pairs import Columns

_ROWS = 20_000
_SECONDS = 60
_PRECISION = 0.999

_HARDEST = ("twin", "jr", "namesake")

Goals = dict[str, float]
_SETS: dict[str, Goals] = {
    "febrl1": {"recall": 0.995},
    "febrl3": {"recall": 0.995},
    "pseudopeople_default": {"precision": 0.9995, "recall": 0.94, "at": 0.96},
}
_PROFILES: dict[str, tuple[int, Goals]] = {
    "normal": (301, {"recall": 0.88, "at": 0.93, "found": 0.985, "complete": 0.995, "alone": 0.90}),
    "dirty": (302, {"recall": 0.75, "at": 0.82, "found": 0.95, "complete": 0.975, "alone": 0.78}),
    "sparse": (303, {"recall": 0.85, "at": 0.89, "found": 0.97, "complete": 0.985, "alone": 0.80}),
}
"""Noise profiles, the seed of people that no model was trained on, and the goals."""


def table(run: Run) -> Table:
    """Precision, recall, calibration, review queue, pair completeness and learning without labels."""
    figures: list[Figure] = []
    missing = []
    for name, goals in _SETS.items():
        dataset = find(run.data, name)
        if dataset is None:
            missing.append(name)
        elif name != "pseudopeople_default" or not run.sizes.quick:
            rename = dict(pair.split("=") for pair in RENAME.split(","))
            figures += _judged(run, name, LabelledFile(dataset.path, rename=rename), goals)
    for profile, (seed, goals) in _PROFILES.items():
        rows = _ROWS // 10 if run.sizes.quick else _ROWS
        figures += _judged(run, profile, profile_set(run.folder, profile, seed, rows), goals)
    notes = [
        "As the service links: every row registered in order, precision and recall of pairs within one person. "
        "*At precision .999* is what some threshold finds; *learned alone* the same of a model learned "
        "from these records without a label. One model and one threshold for every set. Its weights learned from the "
        "sets of files, with their labels, and from other people of the three profiles; threshold and rules were "
        "chosen by looking at them (docs/explanation/how-good.md).",
    ]
    if missing:
        notes.append(
            f"Not there: {', '.join(missing)}; name their folder in MPI_BENCH_DATA or --data."
        )
    title = "What the matching is held to"
    return Table("matching", title, tuple(figures), {"rows": _ROWS}, tuple(notes))


def _judged(run: Run, name: str, file: LabelledFile, goals: Goals) -> list[Figure]:
    run.step(f"matching: {name}")
    with run.share(f"matching: {name}", _SECONDS):
        trial = asyncio.run(judge(file, lambda *_: None))
        alone = _alone(trial.pairs) if "alone" in goals else None
    pairs, linked = trial.pairs, trial.score
    figures = [
        _share(f"{name}, precision", linked.precision, goals.get("precision", _PRECISION)),
        _share(f"{name}, recall", linked.recall, goals.get("recall")),
        _share(f"{name}, recall at precision .999", pairs.scores.recall_at(0.999), goals.get("at")),
        _share(f"{name}, best F1", pairs.scores.best().f1, None),
        *_queue(name, trial, goals.get("found")),
        *_calibration(name, pairs),
        _share(f"{name}, pair completeness", pairs.scores.completeness, goals.get("complete")),
        Figure(f"{name}, candidates", "per record", Spread.of([pairs.mean_candidates]),
               goal=Goal("≤ 8", pairs.mean_candidates <= 8)),
        *_wrong(name, trial),
    ]  # fmt: skip
    if alone is not None:
        figures.append(_share(f"{name}, at .999 learned alone", alone, goals["alone"]))
    return figures


def _queue(name: str, trial: Trial, goal: float | None) -> list[Figure]:
    """What stewards are shown of the pairs that were not linked, were they compared alone."""
    pairs, limits = trial.pairs, trial.model.thresholds
    asked = (pairs.questions >= limits.review) & (pairs.ranked < limits.link)
    found = float((pairs.same & (pairs.questions >= limits.review)).sum() / pairs.scores.total)
    figures = [_share(f"{name}, linked or shown to a steward", found, goal)]
    if asked.any():
        figures.append(_share(f"{name}, tasks that are true", float(pairs.same[asked].mean()), 0.5))
    return figures


def _calibration(name: str, pairs: JudgedPairs) -> list[Figure]:
    found = pairs.calibration
    figures = []
    if found.error is not None:
        goal = Goal("≤ 0.05", found.error <= 0.05)
        figures.append(
            Figure(f"{name}, calibration error", "share", Spread.of([found.error]), goal=goal)
        )
    if found.sure_observed is not None:
        figures.append(_share(f"{name}, true where p ≥ .99", found.sure_observed, 0.99))
    return figures


def _wrong(name: str, trial: Trial) -> list[Figure]:
    """Who was merged wrongly, and of the people who are hardest to tell apart, which share of their record pairs."""
    figures = [
        Figure(f"{name}, merged though {relation}", "pairs of people", Spread.of([count]))
        for relation, count in trial.merges.relations.most_common()
    ]
    hardest = [each for each in trial.related if each.relation in _HARDEST]
    if hardest:
        share = sum(each.linked for each in hardest) / sum(each.pairs for each in hardest)
        what = f"{name}, pairs of {', '.join(_HARDEST)} linked"
        figures.append(
            Figure(what, "share", Spread.of([share]), goal=Goal("≤ 0.015", share <= 0.015))
        )
    return figures


def _alone(pairs: JudgedPairs) -> float:
    """Recall at precision .999 of a model that is learned from these very records, without a label."""
    records, anchors = [record.standard for record in pairs.records], load_anchors()
    alone = unlabelled(Columns(records), pairs.compared, anchors, seed=1)
    model = learn(anchors, alone).model
    weights = pairs.compared.weights(model, len(records))
    ranked = np.where(
        pairs.compared.vetoed(), np.minimum(weights, model.thresholds.review), weights
    )
    return PairScores(ranked, pairs.same, pairs.scores.total).recall_at(0.999)


def _share(what: str, share: float, goal: float | None) -> Figure:
    met = Goal(f"≥ {goal:g}", share >= goal) if goal is not None else None
    return Figure(what, "share", Spread.of([share]), goal=met)
