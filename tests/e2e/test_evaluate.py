"""``mpi evaluate`` on files whose truth is known."""

from __future__ import annotations

import csv
import json
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mpi.demo.files import write
from mpi.demo.population import Population
from mpi.matching.partition_scores import score
from tests.support.service import run_mpi

ROWS = 800


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    population = Population(ROWS, seed=5, profile="dirty")
    write(population, folder / "rows.csv", folder / "truth.csv", folder / "related.csv")
    return folder


def evaluated(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    done = run_mpi(folder, "evaluate", *map(str, arguments), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def facts(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    truth, related = demo / "truth.csv", demo / "related.csv"
    return evaluated(
        tmp_path_factory.mktemp("facts"), demo / "rows.csv", "--truth", truth, "--related", related
    )


def test_the_persons_judged_are_those_that_a_load_makes(
    demo: Path, facts: dict[str, Any], tmp_path: Path
) -> None:
    assert run_mpi(tmp_path, "load", str(demo / "rows.csv"), "--embedded").returncode == 0
    file = tmp_path / "crosswalk.csv"
    assert run_mpi(tmp_path, "export", "crosswalk", str(file), "--embedded").returncode == 0
    with file.open() as rows:
        persons = {f"{r['source']}|{r['source_id']}": r["mpi_id"] for r in csv.DictReader(rows)}
    with (demo / "truth.csv").open() as rows:
        truth = {row["rec_id"]: row["entity_id"] for row in csv.DictReader(rows)}
    loaded = score(truth, persons)
    assert facts["records"] == loaded.records == ROWS
    assert facts["service"]["precision"] == loaded.precision
    assert facts["service"]["recall"] == loaded.recall
    assert facts["service"]["b3"] == pytest.approx(loaded.b3)


def test_a_threshold_that_links_more_finds_more(facts: dict[str, Any]) -> None:
    recalls = [line["recall"] for line in facts["by_threshold"]]
    assert recalls == sorted(recalls, reverse=True)
    assert 0.2 < recalls[-1] < recalls[0] <= facts["pairs"]["completeness"] < 1
    assert facts["pairs"]["recall_at_0.9999"] <= facts["pairs"]["recall_at_0.999"]


def test_what_is_hard_and_who_is_related_is_told_apart(demo: Path, facts: dict[str, Any]) -> None:
    with (demo / "truth.csv").open() as rows:
        tags = Counter(
            tag for row in csv.DictReader(rows) for tag in {*row["tags"].split("|")} - {""}
        )
    cases = {case["tag"]: case for case in facts["service"]["hard_cases"]}
    assert {tag: case["records"] for tag, case in cases.items()} == tags
    assert all(0 <= case["found"] <= case["pairs"] for case in cases.values())
    assert cases["moved"]["recall"] > 0.5
    related = {each["relation"]: each for each in facts["service"]["related_pairs"]}
    assert related["spouse"]["pairs"] > 0
    assert all(each["share"] < 0.05 for each in related.values())


def test_the_truth_may_stand_in_the_file_itself(demo: Path, tmp_path: Path) -> None:
    with (demo / "truth.csv").open() as rows:
        truth = {row["rec_id"]: row["entity_id"] for row in csv.DictReader(rows)}
    labelled = tmp_path / "labelled.csv"
    with (demo / "rows.csv").open() as rows, labelled.open("w", newline="") as out:
        table = csv.writer(out)
        reader = csv.reader(rows)
        table.writerow(["WHO", *next(reader)])
        for row in list(reader)[:300]:
            table.writerow([truth[f"{row[0]}|{row[1]}"], *row])
    found = evaluated(tmp_path, labelled, "--entity", "WHO")
    assert found["records"] == 300
    assert found["service"]["precision"] > 0.9


def test_the_column_of_persons_may_have_any_name_in_a_file_of_its_own(
    demo: Path, tmp_path: Path, facts: dict[str, Any]
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text((demo / "truth.csv").read_text().replace("entity_id", "WHO", 1))
    found = evaluated(tmp_path, demo / "rows.csv", "--truth", truth, "--entity", "WHO")
    assert found["service"]["b3"] == facts["service"]["b3"]


def test_rows_without_ids_are_left_out_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(
        "source_id,entity_id,first_name,last_name,dob\n"
        "1,A,Mary,Vandersloot,1961-03-17\n2,A,Mary,Vandersloot,1961-03-17\n,B,Bob,Lee,1990-01-02\n"
    )
    found = evaluated(tmp_path, file)
    assert (found["records"], found["rejected"], found["true_pairs"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("source_id,last_name\n1,Lee\n2,Lee\n", "--entity"),
        ("source_id,entity_id,last_name\n1,A,Lee\n2,B,Lee\n", "nothing to find"),
    ],
)
def test_a_file_without_truth_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text)
    done = run_mpi(tmp_path, "evaluate", str(file))
    assert done.returncode == 1
    assert reason in done.stderr


HEADS = "source,source_id,first_name,last_name,dob,ssn,address,phone,entity_id\n"
ANN = "Ann,Vandersloot,1980-02-03,,,"
CERTAIN = "Annabella,Vandersloot,1980-02-03,512-47-9983,12 Quarry Rd 83702,208-555-0143"


@pytest.mark.parametrize(
    ("rows", "pairs", "best"),
    [
        (f"A,1,{ANN},e1\nA,2,{ANN},e1\n", 1, 1.0),
        (f"A,1,{CERTAIN},e1\nA,2,{CERTAIN},e1\n", 1, 1.0),  # found at every threshold that is drawn
        ("A,1,,,,,,,e1\nA,2,,,,,,,e1\nA,3,,,,,,,e2\n", 0, 0.0),  # nothing to compare
    ],
    ids=["alike", "certain", "bare"],
)
def test_a_small_or_bare_file_has_figures_and_a_report(
    tmp_path: Path, rows: str, pairs: int, best: float
) -> None:
    (tmp_path / "rows.csv").write_text(HEADS + rows)
    found = evaluated(tmp_path, tmp_path / "rows.csv")
    assert found["pairs"]["compared"] == pairs
    assert found["pairs"]["best_f1"] == best
    assert (found["pairs"]["best_threshold"] is None) == (pairs == 0)
    report = tmp_path / "report.html"
    assert evaluated(tmp_path, tmp_path / "rows.csv", "--report", report) == found
    drawings = re.findall(r"<svg.*?</svg>", report.read_text("utf-8"), re.DOTALL)
    assert len(drawings) > 15
    assert not any("nan" in drawing or "inf" in drawing for drawing in drawings)
    table = run_mpi(tmp_path, "evaluate", str(tmp_path / "rows.csv"))
    assert table.returncode == 0
    assert "best f1" in table.stdout


def test_a_person_may_be_called_zero(tmp_path: Path) -> None:
    file = tmp_path / "rows.ndjson"
    ann: dict[str, Any] = {
        "source": "A",
        "first_name": "Ann",
        "last_name": "Vandersloot",
        "dob": "1980-02-03",
    }
    rows = [ann | {"source_id": str(n), "entity_id": n // 2} for n in range(4)]
    rows += [ann | {"source_id": "4", "entity_id": None}, ann | {"source_id": "5", "entity_id": ""}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = evaluated(tmp_path, file)
    assert (found["records"], found["true_pairs"]) == (4, 2)


def test_a_record_of_two_people_is_refused_wherever_it_is_told(tmp_path: Path) -> None:
    file, truth = tmp_path / "rows.csv", tmp_path / "truth.csv"
    file.write_text(HEADS + f"A,1,{ANN},e1\nA,2,{ANN},e1\nA,1,{ANN},e2\n")
    truth.write_text("rec_id,entity_id\nA|1,e1\nA|2,e1\nA|1,e2\n")
    for arguments in ([file], [file, "--truth", truth]):
        done = run_mpi(tmp_path, "evaluate", *map(str, arguments))
        assert done.returncode == 1
        assert "line 4 contradicts an earlier line about the person of its record" in done.stderr
    file.write_text(HEADS + f"A,1,{ANN},e1\nA,2,{ANN},e1\nA,1,{ANN},e1\nA,2,{ANN},\n")
    truth.write_text("rec_id,entity_id\nA|1,e1\nA|2,e1\nA|1,e1\n")
    for arguments in ([file], [file, "--truth", truth]):
        assert evaluated(tmp_path, *arguments)["records"] == 2


def test_a_person_reads_the_same_figures_as_a_table(demo: Path, tmp_path: Path) -> None:
    truth, related = str(demo / "truth.csv"), str(demo / "related.csv")
    done = run_mpi(
        tmp_path, "evaluate", str(demo / "rows.csv"), "--truth", truth, "--related", related
    )
    assert done.returncode == 0
    for words in ("recall at 0.999", "mean candidates", "threshold", "b3"):
        assert words in done.stdout


def test_nothing_is_left_behind(demo: Path, tmp_path: Path) -> None:
    evaluated(tmp_path, demo / "rows.csv", "--truth", demo / "truth.csv")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def written(demo: Path, folder: Path, *options: str) -> str:
    report = folder / "report.html"
    files = ("--truth", demo / "truth.csv", "--related", demo / "related.csv")
    evaluated(folder, demo / "rows.csv", *files, "--report", report, *options)
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    return report.read_text("utf-8")


def patients(demo: Path) -> set[str]:
    with (demo / "rows.csv").open() as rows:
        return {
            row["last_name"].upper() for row in csv.DictReader(rows) if len(row["last_name"]) > 5
        }


def test_the_report_is_whole_in_itself_and_names_no_patient(demo: Path, tmp_path: Path) -> None:
    text = written(demo, tmp_path)
    assert "://" not in text
    assert "{{" not in text
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) > 20
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    names = patients(demo)
    assert len(names) > 100
    assert [name for name in names if name in text.upper()] == []


def test_the_report_shows_patients_when_asked_to(demo: Path, tmp_path: Path) -> None:
    text = written(demo, tmp_path, "--with-records").upper()
    assert [name for name in patients(demo) if name in text] != []
