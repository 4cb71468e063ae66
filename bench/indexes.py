"""Indexes of the demo population, loaded by ``mpi load`` and kept for later runs."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mpi as measured
from bench.processes import mpi
from mpi.demo.files import write
from mpi.demo.population import Population

SEED = 1


def cache_directory() -> Path:
    """Where indexes and results are kept: the user's cache, never the checkout."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "mpi-bench"


@dataclass(frozen=True, slots=True)
class Index:
    """A loaded population: its files, and what its load told (``built``)."""

    folder: Path
    records: int
    built: dict[str, Any]

    @property
    def database(self) -> Path:
        return self.folder / "index.sqlite3"

    @property
    def population(self) -> Path:
        """The registrations as CSV."""
        return self.folder / "population.csv"

    @property
    def is_current(self) -> bool:
        """Whether the code that loaded it is the code of this run."""
        return bool(self.built["code"] == code_digest())

    @property
    def age_note(self) -> str:
        """A warning for tables when the index is not what today's code would make; else empty."""
        if self.is_current:
            return ""
        return (
            f"The index of {self.records:,} records was loaded by other code on {self.built['at'][:10]}; "
            f"`python -m bench build --records {self.records}` makes it anew."
        )

    def truth(self) -> dict[str, str]:
        """``source|source_id`` to the person behind the registration."""
        return {row["rec_id"]: row["entity_id"] for row in _rows(self.folder / "truth.csv")}

    def related(self) -> Iterator[tuple[str, str, str]]:
        """Pairs of people who must stay apart, and why."""
        for row in _rows(self.folder / "related.csv"):
            yield row["entity_a"], row["entity_b"], row["relation"]

    def persons(self) -> dict[str, str]:
        """``source|source_id`` to ``mpi_id``, from ``mpi export crosswalk``."""
        return crosswalk(self.database)


def crosswalk(database: Path) -> dict[str, str]:
    """Who is who in an index: ``source|source_id`` to ``mpi_id``."""
    file = database.with_name("crosswalk.csv")
    mpi(["export", "crosswalk", str(file), "--embedded", "--json"], database)
    return {f"{row['source']}|{row['source_id']}": row["mpi_id"] for row in _rows(file)}


def kept(records: int) -> Index | None:
    """The kept index of that many records; None when it was never built to its end."""
    folder = cache_directory() / f"index-{records}"
    facts = folder / "built.json"
    return Index(folder, records, json.loads(facts.read_text("utf-8"))) if facts.exists() else None


def build(
    records: int, progress: Callable[[int, int], None] | None = None, *, shown: bool = False
) -> Index:
    """Make the population and load it; only a whole index takes the place of the one that is kept.

    ``progress`` hears of the population's rows, ``shown`` lets ``mpi load`` show its own progress.
    """
    kept_in = cache_directory() / f"index-{records}"
    folder = kept_in.with_name(kept_in.name + ".part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    index = Index(folder, records, {})
    write(
        Population(records, SEED),
        index.population,
        folder / "truth.csv",
        folder / "related.csv",
        progress,
        workers=os.cpu_count() or 1,
    )
    load = ["load", str(index.population), "--embedded", "--json"]
    done = mpi(load, index.database, shown=shown)
    report = done.document
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "code": code_digest(),
        "rows": report["rows"],
        "rejected": report["rejected"],
        "seconds": report["seconds"],
        "peak": done.peak,
        "bytes": index.database.stat().st_size,
    }
    (folder / "built.json").write_text(json.dumps(facts), "utf-8")
    shutil.rmtree(kept_in, ignore_errors=True)
    folder.rename(kept_in)
    return Index(kept_in, records, facts)


def code_digest() -> str:
    """A short digest of the measured package's code and tables."""
    root = Path(measured.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*")):
        if file.is_file() and file.suffix != ".pyc":
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
