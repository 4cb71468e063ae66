"""The bench as it is called, at a size that only shows that everything fits together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def _bench(checkout: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "MPI_BENCH_DATA"}
    env |= {"XDG_CACHE_HOME": str(home), "COLUMNS": "200"}
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(
        command, cwd=checkout, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_tables_are_printed_kept_compared_and_made_into_a_page(checkout: Path, home: Path) -> None:
    sizes = ("--quick", "--records", "300", "--rounds", "1", "--peers", "none")
    first = _bench(checkout, home, "candidates", "profile", "single", *sizes)
    assert first.returncode == 0, first.stderr
    assert "Candidates per query, 300 records" in first.stdout
    kept = json.loads((home / "mpi-bench" / "quick.json").read_text("utf-8"))
    assert list(kept) == ["candidates", "profile", "single"]
    assert kept["single"]["figures"][0]["ours"]["median"] > 0
    assert kept["candidates"]["machine"]["python"]

    again = _bench(checkout, home, "candidates", *sizes)
    # Nothing was loaded anew and nothing is measured by the clock: every figure is the same.
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("+0.0%") > 5

    page = home / "performance.md"
    written = _bench(checkout, home, "report", "--quick", "--output", str(page))
    assert written.returncode == 0, written.stderr
    titles = [line for line in page.read_text("utf-8").splitlines() if line.startswith("## ")]
    assert len(titles) == len(set(titles))
    assert "## One new record in SQLite" in titles


def test_sets_that_are_not_there_are_named(checkout: Path, home: Path) -> None:
    told = _bench(checkout, home, "order", "--quick")
    assert told.returncode == 0, told.stderr
    assert "Not there: febrl3, pseudopeople_default" in told.stdout


def test_an_unknown_table_is_refused(checkout: Path, home: Path) -> None:
    refused = _bench(checkout, home, "nothing")
    assert refused.returncode == 2
    assert "WHAT is one or more of" in refused.stderr


def test_a_page_needs_results(checkout: Path, home: Path) -> None:
    refused = _bench(checkout, home, "report", "--json", str(home / "none.json"))
    assert refused.returncode == 2
    assert "no results" in refused.stderr
