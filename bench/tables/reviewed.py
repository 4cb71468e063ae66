"""What two hundred answers of a steward teach a model that has never seen such records."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench import CHECKOUT
from bench.context import Run
from bench.datasets import profile_set
from bench.processes import mpi
from bench.results import Figure, Goal, Table
from bench.statistics import Spread
from mpi.bootstrap.container import Container, build
from mpi.domain.identity import Task
from mpi.evaluation.boundary import TEACHES, questions
from mpi.evaluation.labelled import LabelledFile, LabelledSet, record_name
from mpi.evaluation.learning import pairs_of
from mpi.evaluation.training_data import decided, labelled_pairs, records_named
from mpi.evaluation.trial import Trial, judge
from mpi.matching.document import document_of
from mpi.matching.model import Model, load_model
from mpi.matching.placeholders import DEFAULT
from mpi.matching.training import LABEL_RIDGE, train
from mpi.service.preparation import Preparation
from mpi.settings import EMBEDDED, read_settings

PROFILE = "dirty"
_TAUGHT, _JUDGED = 402, 302  # seeds of people whom no model was trained on
_ROWS = 20_000
_REVIEWED = 200
_STEWARD = "bench"
_CLOSED = 1 / 3
_MEASURES: dict[str, Callable[[Trial], float]] = {
    "recall as linked": lambda trial: trial.score.recall,
    "best F1": lambda trial: trial.pairs.scores.best().f1,
    "recall at precision .999": lambda trial: trial.pairs.scores.recall_at(0.999),
}
_NOTE = (
    f"The model before was trained without the profile `{PROFILE}`. It loaded {{rows:,}} records of that profile and "
    f"chose the {_REVIEWED} pairs that teach most (`mpi train --ask`), decided by the truth. Beside it stands "
    "the same model trained on every labelled pair of these records. All are judged by other people of the profile."
)


@dataclass(frozen=True, slots=True)
class _Trials:
    before: Trial
    reviewed: Trial
    taught: Trial
    asked: int


def table(run: Run) -> Table:
    """How much of the gap to training on everything the answers close."""
    if run.data is None:
        raise RuntimeError("it needs the labelled sets; name their folder with --data")
    rows = _ROWS // 2 if run.sizes.quick else _ROWS
    taught, judged = (profile_set(run.folder, PROFILE, seed, rows) for seed in (_TAUGHT, _JUDGED))
    run.step("reviewed: training without the profile")
    with run.share("reviewed: training without the profile", 100):
        before = _without_profile(run.data, run.folder)
    with run.share("reviewed: teaching and judging", 300):
        trials = asyncio.run(_tried(run, before, taught, judged))
    figures = [_figure(what, measure, trials) for what, measure in _MEASURES.items()]
    figures.append(_precision(trials.reviewed))
    figures.append(Figure("pairs reviewed", "pairs", Spread.of([trials.asked])))
    title = "What two hundred reviewed pairs teach"
    return Table("reviewed", title, tuple(figures), {"rows": rows}, (_NOTE.format(rows=rows),))


def _without_profile(data: Path, folder: Path) -> bytes:
    out = folder / "before.json"
    command = [sys.executable, str(CHECKOUT / "scripts" / "train_shipped_model.py"), str(data)]
    options = ["--leave-out", PROFILE, "--out", str(out)]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the model cannot be trained: {done.stderr[-300:]}")
    return out.read_bytes()


async def _tried(run: Run, before: bytes, taught: LabelledFile, judged: LabelledFile) -> _Trials:
    found = taught.read(Preparation(b"", DEFAULT, lambda: datetime.now(UTC)))
    reviewed, asked = await _reviewed(run.folder / "reviewed.sqlite3", before, taught, found)
    everything = train(load_model(before), [pairs_of(found, load_model(before), lambda *_: None)])
    documents = (before, _document(reviewed), _document(everything))
    first, second, third = [
        await judge(judged, lambda *_: None, document) for document in documents
    ]
    return _Trials(first, second, third, asked)


def _document(model: Model) -> bytes:
    return document_of(replace(model, version="on-trial"), "made by the bench")


async def _reviewed(
    database: Path, before: bytes, taught: LabelledFile, found: LabelledSet
) -> tuple[Model, int]:
    """The model that learned from the answers, and how many there were."""
    settings = read_settings(dict(EMBEDDED) | {"MPI_SQLITE_PATH": str(database)})
    container = build(settings)
    try:
        await container.open()
        kept = await container.models.add(before, actor=_STEWARD)
        await container.models.activate(kept.version, actor=_STEWARD, reason=TEACHES)
    finally:
        await container.close()
    await asyncio.to_thread(mpi, ["load", str(taught.path), "--embedded", "--json"], database)
    container = build(settings, create=False)
    try:
        await container.open()
        model = container.follower.deciding()
        asked = await questions(
            container.store, model, _REVIEWED, len(found.rows), 1, lambda *_: None
        )
        tasks = await container.stewardship.ask(asked, actor=_STEWARD, reason=TEACHES)
        for task_id in tasks:
            await _answer(container, await container.store.task(task_id), found.people)
        labels = await decided(container.store)
        records = await records_named(container.store, labels, lambda *_: None)
    finally:
        await container.close()
    said = labelled_pairs(labels, records, model, len(found.rows))
    ridge = LABEL_RIDGE / said.true_pairs
    return train(model, [said], ridge=ridge), len(tasks)


async def _answer(container: Container, task: Task | None, people: dict[str, str]) -> None:
    """Decide a task by the truth."""
    assert task is not None
    other = await container.store.person(task.candidates[0])
    assert other is not None
    who = people[record_name(task.record)]
    same = any(people[record_name(record.key)] == who for record in other.records)
    outcome = "same" if same else "not-same"
    await container.stewardship.decide(task.task_id, outcome, actor=_STEWARD, reason="truth")


def _figure(what: str, measure: Callable[[Trial], float], trials: _Trials) -> Figure:
    before, after, most = map(measure, (trials.before, trials.reviewed, trials.taught))
    told = f"{before:.4f} before"
    if most > before:
        closed = (after - before) / (most - before)
        told, goal = f"{told}: {closed:.0%} of the gap", Goal("≥ ⅓ of the gap", closed >= _CLOSED)
    else:
        goal = Goal("no gap: no worse", after >= before)
    ours, theirs = Spread.of([after]), Spread.of([most])
    return Figure(what, "share", ours, "trained on all of them", theirs, told, goal)


def _precision(trial: Trial) -> Figure:
    precision = trial.score.precision
    goal = Goal("≥ 0.999", precision >= 0.999)
    return Figure("precision as linked", "share", Spread.of([precision]), goal=goal)
