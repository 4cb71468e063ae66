"""What is told of thresholds is what an index with them would do, and what is true of its patients."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mpi.bootstrap.container import build
from mpi.bootstrap.preparation import preparation
from mpi.bulk.load import Report, load
from mpi.demo.files import write
from mpi.demo.population import Population
from mpi.evaluation.calibration import Calibrators
from mpi.evaluation.labelled import LabelledFile, record_name
from mpi.evaluation.rehearsal import Fate, Scene, scenes, verdict
from mpi.evaluation.thresholds import (
    Consequence,
    Sample,
    consequence,
    propose,
    review_threshold,
    sample,
    with_limits,
)
from mpi.matching.decision import Outcome
from mpi.matching.model import Model, load_default_model
from mpi.service.consequences import tasks_of
from mpi.settings import EMBEDDED, read_settings

MODEL = load_default_model()
SEED, EVERY = 1, 10**6


@dataclass(frozen=True)
class Known:
    """Everybody of an index, what thresholds are chosen by, and who is who."""

    every: tuple[Scene, ...]
    found: Sample
    people: Mapping[str, str]

    def tasks(self, model: Model) -> int:
        """How many the service would open."""
        return sum(len(tasks_of(s.record.key, s.decision(model))) for s in self.every)

    def tasks_on_trial(self, model: Model) -> int:
        """How many a trial of the model counts."""
        fates = [verdict(scene, scene.decision(model)).fate for scene in self.every]
        return fates.count(Fate.TASK)

    def tasks_that_are_a_match(self, model: Model) -> float:
        answers = [a for scene in self.every if (a := self._answer(scene, model)) is not None]
        return sum(answers) / len(answers)

    def _answer(self, scene: Scene, model: Model) -> bool | None:
        """Whether somebody who is asked about, other than whom the record joins, is the same; None: nobody is."""
        decision = scene.decision(model)
        joined = decision.mpi_id if decision.outcome is Outcome.LINK else None
        asked = {*decision.review} - {joined}
        same = {
            self.people[record_name(record.key)]
            for person in scene.persons
            if person.mpi_id in asked
            for record in person.records
        }
        return self.people[record_name(scene.record.key)] in same if asked else None


async def _nothing(_: Report) -> None: ...


async def _known(folder: Path) -> Known:
    write(Population(1_000, seed=4, profile="dirty"), folder / "rows.csv", folder / "truth.csv")
    own = {"MPI_SQLITE_PATH": str(folder / "index.sqlite3"), "MPI_ENROLL": "identified"}
    settings = read_settings({**EMBEDDED, **own, "MPI_CACHE": ""})
    container = build(settings)
    try:
        await container.open()
        told = LabelledFile(folder / "rows.csv", truth=folder / "truth.csv").read(
            preparation(settings)
        )
        await load(
            container.index,
            told.rows,
            actor="ada",
            reject=lambda _: None,
            settled=_nothing,
            every=500,
        )
        every = [s async for s in scenes(container.store, EVERY, SEED, lambda *_: None)]
        found = await sample(container.store, MODEL, EVERY, SEED, lambda *_: None)
    finally:
        await container.close()
    return Known(tuple(every), found, told.people)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return asyncio.run(_known(tmp_path_factory.mktemp("thresholds")))


def given(known: Known, model: Model) -> Consequence:
    return consequence(known.found, model, Calibrators(), lambda *_: None)


@pytest.mark.parametrize(("link", "review"), [(5.4, 0.0), (0.0, -6.25), (12.0, 12.0), (5.4, -8.0)])
def test_what_is_told_is_what_every_record_would_meet(
    known: Known, link: float, review: float
) -> None:
    model = with_limits(MODEL, link, review)
    told = given(known, model)
    tasks = known.tasks(model)
    assert told.review_share == tasks / len(known.every)
    assert tasks == known.tasks_on_trial(model)
    linked = [s for s in known.every if s.decision(model).outcome is Outcome.LINK]
    assert told.linked_share == len(linked) / len(known.every)


def test_rivals_and_second_certain_persons_are_among_the_tasks(known: Known) -> None:
    # These are what a count of the best weights does not see.
    reasons = [d.reason for s in known.every if (d := s.decision(MODEL)).review]
    assert {"ambiguous", None} & set(reasons)


@pytest.mark.parametrize("share", [0.03, 0.045, 0.06])
def test_the_lowest_review_threshold_that_keeps_the_wish_is_found(
    known: Known, share: float
) -> None:
    review = review_threshold(known.found, MODEL, 5.5, share, lambda *_: None)
    told = given(known, with_limits(MODEL, 5.5, review))
    assert told.review_share <= share
    lower = given(known, with_limits(MODEL, 5.5, review - 0.25))
    assert lower.review_share > share


@pytest.mark.parametrize(("precision", "share"), [(0.99, 0.046), (0.9999, 0.06)])
def test_a_proposal_keeps_what_was_wished(known: Known, precision: float, share: float) -> None:
    told = propose(known.found, MODEL, Calibrators(), precision, share, lambda *_: None)
    assert told.precision >= precision
    assert told.review_share <= share
    model = with_limits(MODEL, told.link, told.review)
    assert known.tasks(model) <= share * len(known.every)


def test_where_a_lower_threshold_asks_less_the_wish_is_kept_all_the_same(known: Known) -> None:
    # Whom this model thinks impossible as one person it asks about, until the review threshold is lower still.
    strict = replace(MODEL, thresholds=replace(MODEL.thresholds, impossible=4.0, possible=4.0))
    told = propose(known.found, strict, Calibrators(), 0.99, 0.05, lambda *_: None)
    assert told.review_share <= 0.05


@pytest.mark.parametrize(("link", "review"), [(5.4, 0.0), (0.0, -6.25), (4.0, 4.0)])
def test_tasks_are_a_match_about_as_often_as_is_told(
    known: Known, link: float, review: float
) -> None:
    model = with_limits(MODEL, link, review)
    told, true = given(known, model).true_tasks, known.tasks_that_are_a_match(model)
    assert told == pytest.approx(true, abs=0.12)
