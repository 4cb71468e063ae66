"""Stewards teach the model: ``mpi train --ask`` opens tasks, and what they decide is learned from."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from mpi.bootstrap.container import build
from mpi.commands.session import run
from mpi.demo.files import write
from mpi.demo.population import Population
from mpi.domain.identity import Task, TaskStatus
from mpi.domain.record import RecordKey
from mpi.matching.model import load_default_model, load_model
from mpi.settings import EMBEDDED, read_settings
from tests.support.service import run_mpi

ASKED = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teaching")
    write(Population(1_500, seed=8, profile="dirty"), folder / "rows.csv", folder / "truth.csv")
    loaded = run_mpi(folder, "load", str(folder / "rows.csv"), "--embedded")
    assert loaded.returncode == 0, loaded.stderr
    return folder


def mpi(folder: Path, *arguments: str) -> Any:
    done = run_mpi(folder, *arguments, "--embedded", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def decide_by(truth: dict[str, str], database: Path) -> tuple[list[Task], dict[bool, int]]:
    """A steward who knows who is who decides every open task about one candidate."""

    def who(key: RecordKey) -> str:
        return truth[f"{key.source}|{key.source_id}"]

    async def work() -> tuple[list[Task], dict[bool, int]]:
        chosen = read_settings({**EMBEDDED, "MPI_SQLITE_PATH": str(database)})
        container = build(chosen, create=False)
        await container.open()
        counts = {True: 0, False: 0}
        tasks = await container.stewardship.tasks(TaskStatus.OPEN, None, 1_000)
        for task in tasks:
            person = await container.store.person(task.candidates[0])
            if person is None or not person.records or len(task.candidates) > 1:
                continue
            same = who(task.record) in {who(record.key) for record in person.records}
            await container.stewardship.decide(
                task.task_id, "same" if same else "not-same", actor="ada", reason="as it is"
            )
            counts[same] += 1
        await container.close()
        return list(tasks), counts

    return run(work())


def test_questions_become_labels_and_labels_a_model(folder: Path) -> None:
    before = mpi(folder, "stats")
    asked = mpi(folder, "train", "--ask", str(ASKED))["tasks"]
    after = mpi(folder, "stats")
    assert 0 < len(asked) <= ASKED
    assert after["tasks_open"] == before["tasks_open"] + len(asked)
    assert after["persons"] == before["persons"]
    again = mpi(folder, "train", "--ask", str(ASKED))["tasks"]
    assert not set(asked) & set(again)
    with (folder / "truth.csv").open() as rows:
        truth = {row["rec_id"]: row["entity_id"] for row in csv.DictReader(rows)}
    tasks, counts = decide_by(truth, folder / "data" / "mpi" / "mpi.sqlite3")
    taught = [task for task in tasks if task.reason == "teaches"]
    assert {task.task_id for task in taught} == {*asked, *again}
    assert all(abs(task.weight or 0.0) <= 8 for task in taught)
    persons = [name for task in taught for name in task.candidates]
    assert len(persons) == len(set(persons))
    facts = mpi(folder, "train", "--decisions", "--out", str(folder / "model.json"))
    assert facts["pairs_of_one_person"] >= counts[True] >= 30
    assert facts["pairs_of_different_people"] >= counts[False] >= 30
    model = load_model((folder / "model.json").read_bytes())
    assert abs(model.match - load_default_model().match).max() > 0.05
