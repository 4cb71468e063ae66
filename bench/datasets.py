"""Labelled sets: those of others, in the folder that ``MPI_BENCH_DATA`` or ``--data`` names, and noise profiles."""

from __future__ import annotations

import csv
import gzip
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpi.demo import files
from mpi.demo.population import Population
from mpi.evaluation.labelled import LabelledFile

RENAME = "rec_id=source_id,given=first_name,middle=middle_name,family=last_name,street=address,unit=address2"
"""Their columns as ours, for ``mpi load --rename``."""

_SHUFFLES = 2_026


@dataclass(frozen=True, slots=True)
class Dataset:
    """A labelled set: ``rec_id`` and ``entity_id`` beside the demographic columns."""

    name: str
    path: Path

    @property
    def load_arguments(self) -> list[str]:
        """The ``mpi load`` command of the file as it is."""
        return load_arguments(self.path, self.name)

    def rows(self) -> list[dict[str, str]]:
        """Every row, in the order of the file."""
        with gzip.open(self.path, "rt", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


def load_arguments(path: Path, source: str) -> list[str]:
    """The ``mpi load`` command of a file with the columns of these sets."""
    rename = ["--rename", RENAME, "--source", source]
    return ["load", str(path), *rename, "--embedded", "--json"]


def find(folder: Path | None, name: str) -> Dataset | None:
    """The set of that name; None when there is no folder or no such file in it."""
    path = folder / f"{name}.csv.gz" if folder is not None else None
    return Dataset(name, path) if path is not None and path.exists() else None


def profile_set(folder: Path, profile: str, seed: int, rows: int) -> LabelledFile:
    """Registrations of the demo population with that noise, written into ``folder`` with their truth."""
    made, truth, related = (
        folder / f"{profile}-{seed}.{kind}.csv" for kind in ("rows", "truth", "related")
    )
    files.write(Population(rows, seed, profile), made, truth, related)
    return LabelledFile(made, truth=truth, related=related)


def truth_of(rows: Iterable[dict[str, str]]) -> dict[str, str]:
    """``rec_id`` to the person behind the row."""
    return {row["rec_id"]: row["entity_id"] for row in rows}


def by_record(persons: dict[str, str]) -> dict[str, str]:
    """A crosswalk by ``rec_id`` alone, which is unique within a set."""
    return {name.partition("|")[2]: mpi_id for name, mpi_id in persons.items()}


def sample(rows: Sequence[dict[str, str]], count: int) -> list[dict[str, str]]:
    """About ``count`` rows of whole people, the same ones every time: half a person would be no test."""
    people: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        people[row["entity_id"]].append(row)
    names = sorted(people)
    random.Random(_SHUFFLES).shuffle(names)
    chosen: list[dict[str, str]] = []
    for name in names:
        if len(chosen) + len(people[name]) <= count:
            chosen.extend(people[name])
    return chosen


def shuffled(rows: Sequence[dict[str, str]], order: int) -> list[dict[str, str]]:
    """The rows in random order number ``order``."""
    mixed = list(rows)
    random.Random(_SHUFFLES + order).shuffle(mixed)
    return mixed


def write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
