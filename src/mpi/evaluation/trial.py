"""A labelled set put through the service itself, and through every pairwise comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from mpi.bootstrap.container import Container, build
from mpi.bootstrap.preparation import preparation
from mpi.bulk.load import Report, load
from mpi.domain.identity import StoredRecord
from mpi.errors import InvalidInput
from mpi.evaluation.labelled import LabelledFile, LabelledSet, record_name
from mpi.matching.decision import confidence_of
from mpi.matching.model import Model
from mpi.matching.pair_scores import Calibration, PairScores, calibration
from mpi.matching.pairing import ComparedPairs, compare_all
from mpi.matching.partition_scores import (
    HardCase,
    RelatedPairs,
    Score,
    WrongMerges,
    hard_cases,
    related_pairs,
    score,
    wrong_merges,
)
from mpi.settings import EMBEDDED, Settings, read_settings

_ACTOR = "evaluation"
_GROUP = 1_000

Step = Callable[[str, int, int], object]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """Pairs of records that were compared: their weights, who is one person, and what follows.

    ``ranked`` is ``weights``, but for pairs with a veto at most the review threshold: they are never linked
    automatically. ``questions`` decide whether a steward is asked, see ``ScoredPerson``. ``records`` are all that are
    judged; pairs name them by their places.
    """

    records: tuple[StoredRecord, ...]
    compared: ComparedPairs
    weights: NDArray[np.float64]
    questions: NDArray[np.float64]
    ranked: NDArray[np.float64]
    same: NDArray[np.bool_]
    scores: PairScores
    calibration: Calibration

    @property
    def mean_candidates(self) -> float:
        """Records that an average record is compared with, of those before it."""
        return len(self.weights) / len(self.records)


@dataclass(frozen=True, slots=True)
class Trial:
    """How right the index is on one set. ``answers`` counts those to the registrations, by status."""

    model: Model
    score: Score
    merges: WrongMerges
    related: tuple[RelatedPairs, ...]
    cases: tuple[HardCase, ...]
    answers: Counter[str]
    rejected: int
    pairs: JudgedPairs


async def judge(file: LabelledFile, step: Step, document: bytes | None = None) -> Trial:
    """Register the whole set in an index that is thrown away afterwards, and compare its persons with the truth.

    The model is that of the ``document``, or the shipped one; placeholders are those that the environment names.

    Raises:
        InvalidInput: no two records of the set are of one person, or the document is no model.
        ConfigurationError: a file cannot be read, or a setting is wrong.
    """
    with TemporaryDirectory(prefix="mpi-evaluation-") as folder:
        settings = _settings(Path(folder))
        container = build(settings)
        try:
            await container.open()
            if document is not None:
                await _activate(container, document)
            model = container.follower.deciding()
            found = file.read(preparation(settings), lambda done, size: step("reading", done, size))
            if len(set(found.people.values())) == len(found.people):
                raise InvalidInput("no two rows are of one person, so there is nothing to find")
            persons, report = await _registered(found, container, step)
        finally:
            await container.close()
    return Trial(
        model=model,
        score=score(found.people, persons),
        merges=wrong_merges(found.people, persons, found.related),
        related=related_pairs(found.people, persons, found.related),
        cases=hard_cases(found.people, persons, found.tags),
        answers=report.statuses,
        rejected=found.rejected + report.rejected,
        pairs=judge_pairs(found, model, step),
    )


async def _activate(container: Container, document: bytes) -> None:
    model = await container.models.add(document, actor=_ACTOR)
    await container.models.activate(model.version, actor=_ACTOR, reason="on trial")
    await container.follower.look()


def _settings(folder: Path) -> Settings:
    """An empty embedded index in ``folder``."""
    own = {"MPI_SQLITE_PATH": str(folder / "trial.sqlite3"), "BATCH_SIZE": str(_GROUP)}
    return read_settings({**EMBEDDED, **own, "MPI_CACHE": "", "MPI_ENROLL": "identified"})


async def _registered(
    found: LabelledSet, container: Container, step: Step
) -> tuple[dict[str, str], Report]:
    """Record to ``mpi_id``, once all rows are registered in order."""

    async def settled(report: Report) -> None:
        step("registering", report.rows, len(found.rows))

    report = await load(
        container.index,
        found.rows,
        actor=_ACTOR,
        reject=lambda _: None,
        settled=settled,
        every=_GROUP,
    )
    return {record_name(key): name async for key, name in container.index.crosswalk()}, report


def judge_pairs(found: LabelledSet, model: Model, step: Step) -> JudgedPairs:
    """Weigh every pair of records that share a blocking key."""
    records, people = found.judged()
    numbers = np.unique(people, return_inverse=True)[1]
    compared = compare_all(
        [record.standard for record in records],
        lambda done: step("comparing", done, len(records)),
    )
    same = numbers[compared.left] == numbers[compared.right]
    weights = compared.weights(model, len(records))
    ranked = np.where(compared.vetoed(), np.minimum(weights, model.thresholds.review), weights)
    confidences = np.array([confidence_of(weight) for weight in weights.tolist()])
    return JudgedPairs(
        records=tuple(records),
        compared=compared,
        weights=weights,
        questions=weights - compared.unplaced(model, len(records)),
        ranked=ranked,
        same=same,
        scores=PairScores(ranked, same, true_pairs(numbers)),
        calibration=calibration(confidences, same),
    )


def true_pairs(numbers: NDArray[np.int64]) -> int:
    """How many pairs of records are of one person, given the number of each record's person."""
    sizes = np.bincount(numbers)
    return int((sizes * (sizes - 1) // 2).sum())
