"""``mpi model``: which model decides, in every process, and how that is taken back."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.daemons import Mongod
from mpi.demo.files import write
from mpi.demo.population import Population
from mpi.matching.model import default_document, load_default_model
from tests.support.index import MARGA, MARGA_BY_NUMBER
from tests.support.refusals import assert_refused
from tests.support.service import EMBEDDED, Done, Profile, on_mongodb, run_mpi
from tests.support.workers import until

SHIPPED = load_default_model().version
WHY = ("--reason", "a trial", "--by", "ada")


def variant(version: str, **thresholds: float) -> bytes:
    """The shipped model under another version and with other thresholds."""
    content = json.loads(default_document())
    content["version"] = version
    content["thresholds"] |= thresholds
    return json.dumps(content).encode()


def kept(profile: Profile, folder: Path, document: bytes) -> Done:
    file = folder / "model.json"
    file.write_bytes(document)
    return profile.run(folder, "model", "add", str(file), "--by", "ada")


@pytest.fixture(params=["sqlite", "mongodb"])
def profile(request: pytest.FixtureRequest) -> Iterator[Profile]:
    if request.param == "sqlite":
        yield EMBEDDED
    else:
        mongod: Mongod = request.getfixturevalue("mongod")
        yield on_mongodb(mongod.uri, request.getfixturevalue("database"))


def asked(client: httpx2.Client, *, explain: bool = False) -> Any:
    body = {"patient_data": MARGA_BY_NUMBER, "enroll": False, "explain": explain}
    return client.post("/mpi/match", json=body).json()


def answers_of(client: httpx2.Client, version: str) -> Any:
    """The answer, once this model gives it."""
    found: list[Any] = []

    def changed() -> bool:
        found.append(asked(client))
        return bool(found[-1]["model_version"] == version)

    until(changed, f"an answer of model {version}")
    return found[-1]


def test_a_running_service_takes_up_a_model_and_goes_back(tmp_path: Path, profile: Profile) -> None:
    with profile.running(tmp_path) as service, service.client() as client:
        body = {"patient_data": MARGA, "source": "A", "source_id": "1"}
        assert client.post("/mpi/match", json=body).json()["status"] == "created"
        before = answers_of(client, SHIPPED)
        assert before["status"] == "matched"
        assert asked(client)["served_from"] == "memory"
        assert kept(profile, tmp_path, variant("strict", link=60.0)).returncode == 0
        assert profile.run(tmp_path, "model", "activate", "strict", *WHY).returncode == 0
        after = answers_of(client, "strict")
        assert (after["status"], after["served_from"]) == ("review", "provider")
        assert after["match_weight"] == before["match_weight"]
        assert client.get("/health/ready").json()["model_version"] == "strict"
        assert profile.run(tmp_path, "model", "rollback", *WHY).returncode == 0
        assert answers_of(client, SHIPPED)["status"] == "matched"
    rows = json.loads(profile.run(tmp_path, "model", "list", "--history", "--json").stdout)
    told = [(row["role"], row["version"], row["actor"], row["reason"]) for row in rows]
    assert told == [
        ("decide", SHIPPED, "ada", "it came with the service and decided until now"),
        ("decide", "strict", "ada", "a trial"),
        ("decide", SHIPPED, "ada", "a trial"),
    ]
    listed = json.loads(profile.run(tmp_path, "model", "list", "--json").stdout)
    assert {row["version"]: row["decides"] for row in listed} == {SHIPPED: True, "strict": False}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an index in it."""
    (tmp_path / "rows.ndjson").write_text(
        json.dumps(MARGA | {"source": "A", "source_id": "1"}) + "\n"
    )
    rows = str(tmp_path / "rows.ndjson")
    assert run_mpi(tmp_path, "load", rows, "--embedded").returncode == 0
    return tmp_path


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"no JSON", "no JSON"),
        (b"[]", "no model document"),
        (b"{}", "no model document"),
        (variant("a b"), "version of a model"),
        (variant("v", link=-3.0), "thresholds of a model rise"),
        (variant(SHIPPED, link=60.0), "give yours another"),
        (default_document().replace(b'"u": ', b'"u": -', 1), "traits.given.exact.u needs a number"),
    ],
)
def test_a_wrong_document_is_refused_in_a_sentence(
    folder: Path, document: bytes, reason: str
) -> None:
    done = kept(EMBEDDED, folder, document)
    assert done.returncode == 1
    assert reason in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_version_is_taken_once_and_decides_only_when_it_is_there(folder: Path) -> None:
    assert kept(EMBEDDED, folder, variant("mine")).returncode == 0
    assert kept(EMBEDDED, folder, variant("mine")).returncode == 0
    again = kept(EMBEDDED, folder, variant("mine", link=60.0))
    assert "another model has this version already" in again.stderr
    unknown = EMBEDDED.run(folder, "model", "activate", "yours", *WHY)
    assert "no model has this version" in unknown.stderr
    nothing = EMBEDDED.run(folder, "model", "rollback", *WHY)
    assert "nothing to take back" in nothing.stderr
    assert_refused(EMBEDDED.run(folder, "model", "activate", "mine"), "--reason")
    for wrong in (" ", "two\nlines", "\udcff"):
        unsaid = EMBEDDED.run(folder, "model", "activate", "mine", "--reason", wrong)
        assert unsaid.returncode == 1
        assert "say who and why" in unsaid.stderr


def test_a_difference_is_shown_as_a_table(folder: Path) -> None:
    assert kept(EMBEDDED, folder, variant("mine", link=12.5)).returncode == 0
    shown = EMBEDDED.run(folder, "model", "diff", SHIPPED, "mine").stdout
    (line,) = (row for row in shown.splitlines() if "threshold" in row)
    assert line.split()[:2] == ["threshold", "link"]
    assert "12.5" in line
    same = EMBEDDED.run(folder, "model", "diff", SHIPPED, SHIPPED, "--json").stdout
    assert json.loads(same) == []
    document = EMBEDDED.run(folder, "model", "show", "mine", "--document").stdout
    assert document.encode() == variant("mine", link=12.5)


def test_what_a_document_says_of_itself_moves_and_colours_no_terminal(folder: Path) -> None:
    content = json.loads(variant("mine")) | {"about": "\x1b[2J\x9b31m\u202e\nred"}
    (folder / "mine.json").write_text(json.dumps(content))
    shown = EMBEDDED.run(folder, "model", "show", str(folder / "mine.json"))
    assert shown.stderr == "mine: \\x1b[2J\\x9b31m\\u202e\\nred\n"


def test_a_model_that_this_version_cannot_read_stops_the_start_and_can_be_taken_back(
    folder: Path,
) -> None:
    with closing(sqlite3.connect(folder / "data" / "mpi" / "mpi.sqlite3")) as raw, raw:
        raw.execute("INSERT INTO model VALUES ('later', x'7b7d', 1, 'ada')")
        raw.execute("INSERT INTO activation VALUES (1, 'decide', 'later', 1, 'ada', 'newer')")
    assert_refused(EMBEDDED.run(folder, "stats"), "mpi model rollback")
    assert EMBEDDED.run(folder, "model", "rollback", *WHY).returncode == 0
    assert EMBEDDED.run(folder, "stats").returncode == 0
    with closing(sqlite3.connect(folder / "data" / "mpi" / "mpi.sqlite3")) as raw, raw:
        raw.execute("INSERT INTO activation VALUES (3, 'shadow', 'later', 1, 'ada', 'newer')")
    assert EMBEDDED.run(folder, "stats").returncode == 0


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of made-up patients."""
    folder = tmp_path_factory.mktemp("population")
    write(Population(400, seed=3, profile="dirty"), folder / "rows.csv", folder / "truth.csv")
    assert run_mpi(folder, "load", str(folder / "rows.csv"), "--embedded").returncode == 0
    (folder / "lax.json").write_bytes(variant("lax", link=-4.0, review=-6.0))
    return folder


def test_a_trial_says_whom_another_model_would_merge_and_changes_nothing(population: Path) -> None:
    before = EMBEDDED.run(population, "stats", "--json").stdout
    lax = str(population / "lax.json")
    facts = json.loads(EMBEDDED.run(population, "model", "try", lax, "--json").stdout)
    assert facts["records"] == facts["index_size"] == 400
    assert sum(count[0] for count in facts["counts"].values()) == 400
    assert facts["counts"]["merge"][1] > facts["counts"]["merge"][0]
    merged = facts["only_model"]["merge"]
    assert len(merged["examples"]) == min(merged["persons"], 10) > 0
    for named in merged["examples"]:
        assert len(named) >= 2
        assert all(EMBEDDED.run(population, "person", mpi_id).returncode == 0 for mpi_id in named)
    same = json.loads(EMBEDDED.run(population, "model", "try", SHIPPED, "--json").stdout)
    assert same["differently"] == 0
    few = EMBEDDED.run(population, "model", "try", lax, "--records", "50", "--json").stdout
    assert json.loads(few)["records"] == 50
    assert EMBEDDED.run(population, "stats", "--json").stdout == before


def test_a_trial_names_persons_by_their_ids_alone(population: Path) -> None:
    lax = str(population / "lax.json")
    shown = EMBEDDED.run(population, "model", "try", lax)
    with (population / "rows.csv").open() as rows:
        names = {row["last_name"].upper() for row in csv.DictReader(rows) if row["last_name"]}
    words = set(re.findall(r"[A-Z]{3,}", (shown.stdout + shown.stderr).upper()))
    assert "MPI" in words
    assert not words & names


def test_thresholds_are_kept_as_a_model_of_their_own(population: Path) -> None:
    wish = ("--precision", "0.9999", "--review-share", "0.05", "--save", "careful", "--json")
    facts = json.loads(EMBEDDED.run(population, "model", "thresholds", *wish).stdout)
    now, proposed = facts["now"], facts["proposed"]
    assert proposed["precision"] >= 0.9999
    assert proposed["review_share"] <= 0.05 or proposed["review"] == proposed["link"]
    assert proposed["link"] >= now["link"]
    shown = json.loads(EMBEDDED.run(population, "model", "show", "careful", "--json").stdout)
    assert shown["thresholds"]["link"] == proposed["link"]
    assert shown["thresholds"]["review"] == proposed["review"]
    tried = json.loads(EMBEDDED.run(population, "model", "try", "careful", "--json").stdout)
    tasks = [given["review_share"] * facts["records"] for given in (now, proposed)]
    assert tried["counts"]["task"] == pytest.approx(tasks)
    table = EMBEDDED.run(population, "model", "thresholds").stdout
    assert "records that are a task" in table


def test_a_shadow_is_counted_and_decides_nothing(folder: Path) -> None:
    assert kept(EMBEDDED, folder, variant("strict", link=60.0)).returncode == 0
    assert EMBEDDED.run(folder, "model", "shadow", "strict", *WHY).returncode == 0
    with (
        EMBEDDED.running(folder) as service,
        service.client() as client,
    ):
        agreed = 'mpi_shadow_decisions_total{deciding="link",shadow="review"} '

        def counted() -> bool:
            assert asked(client, explain=True)["model_version"] == SHIPPED  # not from the cache
            return agreed in client.get("/metrics").text

        until(counted, "a decision of the shadow")
        assert EMBEDDED.run(folder, "model", "shadow", "--off", *WHY).returncode == 0
    assert_refused(EMBEDDED.run(folder, "model", "shadow", *WHY), "--off")
