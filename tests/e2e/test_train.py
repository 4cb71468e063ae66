"""``mpi train`` on an index of one's own, and what a model that it wrote is worth."""

from __future__ import annotations

import csv
import json
import stat
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import combinations
from pathlib import Path
from typing import Any, Self

import pytest

from mpi.commands import training
from mpi.demo.files import write
from mpi.demo.population import Population
from mpi.matching.model import load_default_model, load_model
from tests.support.refusals import assert_refused
from tests.support.service import run_mpi

ROWS = 1_000
CHOSEN = ("--version", "mine", "--seed", "5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a loaded index, and its truth."""
    folder = tmp_path_factory.mktemp("own")
    write(Population(ROWS, seed=8, profile="dirty"), folder / "rows.csv", folder / "truth.csv")
    loaded = run_mpi(folder, "load", str(folder / "rows.csv"), "--embedded")
    assert loaded.returncode == 0, loaded.stderr
    return folder


def trained(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    done = run_mpi(folder, "train", *map(str, arguments), "--embedded", "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def people(folder: Path) -> dict[str, str]:
    with (folder / "truth.csv").open() as rows:
        return {row["rec_id"]: row["entity_id"] for row in csv.DictReader(rows)}


def judged(folder: Path, path: Path, count: int) -> Path:
    """A table of so many pairs of one person, and as many of different people."""
    truth = people(folder)
    names = sorted(truth)
    by_person: dict[str, list[str]] = {}
    for name in names:
        by_person.setdefault(truth[name], []).append(name)
    same = [pair for held in by_person.values() for pair in combinations(held, 2)][:count]
    other = [
        (a, b) for a, b in zip(names, names[7:], strict=False) if truth[a] != truth[b]
    ][:count]  # fmt: skip
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["source_a", "source_id_a", "source_b", "source_id_b", "same"])
        for answer, pairs in (("true", same), ("false", other)):
            table.writerows([*a.split("|"), *b.split("|"), answer] for a, b in pairs)
    return path


@dataclass(frozen=True, slots=True)
class Learned:
    """What training from the records alone told, and the history of models before and after."""

    told: dict[str, Any]
    before: str
    after: str

    @property
    def path(self) -> Path:
        """Where the model is."""
        return Path(self.told["model"])


@pytest.fixture(scope="module")
def learned(folder: Path) -> Learned:
    """Learning takes seconds: once for all tests that look at its outcome."""
    before = history(folder)
    return Learned(trained(folder, *CHOSEN), before, history(folder))


def history(folder: Path) -> str:
    """Which models there are, and which decided when."""
    kept = run_mpi(folder, "model", "list", "--embedded", "--json").stdout
    return kept + run_mpi(folder, "model", "list", "--history", "--embedded", "--json").stdout


def test_a_model_is_learned_from_the_records_alone(folder: Path, learned: Learned) -> None:
    assert learned.path.is_relative_to(folder / "data" / "mpi" / "models")
    assert stat.S_IMODE(learned.path.stat().st_mode) == 0o600
    assert load_model(learned.path.read_bytes()).version == learned.told["version"] == "mine"
    assert learned.told["households_seen"]
    assert learned.told["records"] == ROWS
    assert 0 < learned.told["share_of_one_person"] < 1


def test_nothing_is_activated(learned: Learned) -> None:
    assert learned.after == learned.before
    assert load_default_model().version in learned.before


def test_the_same_index_and_seed_give_the_same_model_and_a_person_is_told_how_to_use_it(
    folder: Path, learned: Learned, tmp_path: Path
) -> None:
    out = tmp_path / "model.json"
    done = run_mpi(folder, "train", "--out", str(out), *CHOSEN, "--embedded")
    assert out.read_bytes() == learned.path.read_bytes()
    assert "households seen" in done.stdout
    assert f"mpi model add {out}" in done.stderr


def test_a_learned_model_can_be_judged(folder: Path, learned: Learned, tmp_path: Path) -> None:
    done = run_mpi(
        tmp_path,
        "evaluate",
        str(folder / "rows.csv"),
        "--truth",
        str(folder / "truth.csv"),
        "--json",
        "--model",
        str(learned.path),
    )
    facts = json.loads(done.stdout)
    assert facts["model_version"] == "mine"
    assert facts["service"]["precision"] > 0.98
    assert facts["service"]["recall"] > 0.8


def test_judged_pairs_move_the_model_in_use(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    pairs = judged(folder, tmp_path / "pairs.csv", 60)
    found = trained(folder, "--pairs", pairs, "--records", "50", "--out", path)
    assert (found["pairs_of_one_person"], found["pairs_of_different_people"]) == (60, 60)
    assert found["pairs_left_out"] == 0
    assert found["version"].startswith(
        "own-"
    ), "without a name of its own it is named after the moment"
    moved = abs(load_model(path.read_bytes()).match - load_default_model().match)
    assert 0.05 < moved.max() <= 2.001


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--decisions",), "0 labelled pairs are of one person; at least 30"),
        (("--pairs", "few.csv"), "12 labelled pairs are of one person"),
        (("--pairs", "few.csv", "--records", "2"), "12 labelled pairs are of one person"),
        (
            ("--pairs", "unknown.csv"),
            "at least 30 are needed to learn from; 40 were left out, as the index does not have both records",
        ),
        (("--pairs", "wrong.csv"), "line 2 is no judged pair"),
        (("--pairs", "itself.csv"), "line 2 pairs a record with itself"),
        (("--pairs", "torn.csv"), "line 3 contradicts an earlier line about the same pair"),
        (("--records", "20"), "pairs of records can be compared; at least 500"),
    ],
)
def test_too_little_to_learn_from_is_said(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    judged(folder, tmp_path / "few.csv", 12)
    head = "source_a,source_id_a,source_b,source_id_b,same\n"
    for name, lines in (
        ("unknown", "".join(f"nowhere,{n},A,1,true\n" for n in range(40))),
        ("wrong", "A,1,B,2,perhaps\n"),
        ("itself", "A,1,A,1,true\n"),
        ("torn", "A,1,B,2,true\nB,2,A,1,false\n"),
    ):
        (tmp_path / f"{name}.csv").write_text(head + lines)
    named = [str(tmp_path / word) if word.endswith(".csv") else word for word in arguments]
    out = tmp_path / "model.json"
    done = run_mpi(folder, "train", *named, "--out", str(out), "--embedded")
    assert done.returncode == 1
    assert reason in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("version", ["../../evil x", "a/b", "x" * 65, "\udcff"])
def test_a_version_that_no_index_keeps_is_refused_before_it_is_learned(
    folder: Path, version: str
) -> None:
    before = sorted(folder.rglob("*"))
    done = run_mpi(folder, "train", "--version", version, "--embedded")
    assert (done.returncode, "the version of a model is" in done.stderr) == (1, True)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--decisions",), "--decisions"),
        (("--pairs", "pairs.csv", "--out", "model.json"), "--pairs, --out"),
        (("--version", "mine"), "--version"),
    ],
)
def test_to_ask_and_to_learn_at_once_is_refused(
    folder: Path, arguments: tuple[str, ...], named: str
) -> None:
    assert_refused(run_mpi(folder, "train", "--ask", "5", *arguments, "--embedded"), named)


def test_models_of_one_second_have_versions_of_their_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2026, 3, 1, 12, tzinfo=tz)

    monkeypatch.setattr(training, "datetime", Stopped)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    pairs = judged(folder, folder / "pairs.csv", 60)
    for _ in range(2):
        training.train_model(pairs=pairs, embedded=True)
    assert len(list((folder / "data" / "mpi" / "models").glob("own-20260301T120000*.json"))) == 2


def test_a_model_of_a_version_is_not_written_over_unless_its_file_is_named(
    folder: Path, learned: Learned
) -> None:
    before = learned.path.read_bytes()
    again = ("train", *CHOSEN, "--records", "600", "--embedded")
    assert_refused(run_mpi(folder, *again), "name another --version")
    assert learned.path.read_bytes() == before
