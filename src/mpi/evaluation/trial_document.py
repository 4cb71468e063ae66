"""What a trial found, as one document of plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mpi.evaluation.trial import Trial
from mpi.matching.pair_scores import AtThreshold, PairScores

PRECISIONS = (0.999, 0.9999)
THRESHOLDS = tuple(range(-4, 17, 2))
"""Weights of the table by threshold; the model's own thresholds are added."""


def facts_of(trial: Trial) -> dict[str, Any]:
    """The figures of a trial. ``service`` is what the index did, ``pairs`` what any threshold could do."""
    return {
        "model_version": trial.model.version,
        "records": trial.score.records,
        "rejected": trial.rejected,
        "true_pairs": trial.score.true_pairs,
        "service": _service(trial),
        "pairs": _pairs(trial.pairs.scores) | {"mean_candidates": trial.pairs.mean_candidates},
        "calibration": asdict(trial.pairs.calibration),
        "by_threshold": [row(at) for at in by_threshold(trial)],
    }


def _service(trial: Trial) -> dict[str, Any]:
    found, merges = trial.score, trial.merges
    return {
        "precision": found.precision,
        "recall": found.recall,
        "b3": found.b3,
        "b3_precision": found.b3_precision,
        "b3_recall": found.b3_recall,
        "reviews": trial.answers["review"],
        "persons": merges.persons,
        "wrongly_merged": merges.wrong,
        "wrongly_merged_per_100k": merges.per_100k,
        "false_merges_by_relation": dict(merges.relations.most_common()),
        "related_pairs": [asdict(each) | {"share": each.share} for each in trial.related],
        "hard_cases": [asdict(each) | {"recall": each.recall} for each in trial.cases],
    }


def _pairs(scores: PairScores) -> dict[str, Any]:
    best = scores.best()
    return {
        "compared": scores.pairs,
        "completeness": scores.completeness,
        "best_f1": best.f1,
        "best_threshold": best.threshold,
        **{f"recall_at_{precision}": scores.recall_at(precision) for precision in PRECISIONS},
    }


def by_threshold(trial: Trial) -> tuple[AtThreshold, ...]:
    """What linking every pair from some weight on would give; weights as in ``JudgedPairs.ranked``."""
    limits = trial.model.thresholds
    return trial.pairs.scores.table(sorted({*map(float, THRESHOLDS), limits.link, limits.review}))


def row(at: AtThreshold) -> dict[str, Any]:
    """One line of the table by threshold."""
    return asdict(at) | {"f1": at.f1}
