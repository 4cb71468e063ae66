"""A whole index, learned from and scored, in a process of its own: what it takes of memory is its own.

Standard input names the database and a file of pairs, standard output tells how it went.
"""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from bench.processes import peak_of
from mpi.evaluation.training_data import unlabelled
from mpi.matching.expectation import learn
from mpi.matching.model import Places, load_anchors
from mpi.matching.pairing import compare_pairs
from mpi.matching.pairs import Columns
from mpi.matching.record import StandardRecord
from mpi.stores.codec import decode_standard

SEPARATOR = "|"
"""Between source and source id, where pairs name records."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """How long it took, in seconds, and the most memory the process had, in bytes.

    ``readying``: putting the records in columns.
    """

    pairs: int
    readying: float
    scoring: float
    learning: float
    peak: int

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.readying + self.scoring + self.learning


def work(records: list[StandardRecord], left: Places, right: Places) -> Bulk:
    """Learn from all pairs without a label, and weigh them."""
    started = perf_counter()
    columns = Columns(records)
    ready = perf_counter()
    compared = compare_pairs(columns, left, right)
    scored = perf_counter()
    anchors = load_anchors()
    learned = learn(anchors, unlabelled(columns, compared, anchors, seed=1)).model
    known = perf_counter()
    weights = compared.weights(learned, len(records))
    ended = perf_counter()
    return Bulk(
        pairs=len(weights),
        readying=ready - started,
        scoring=scored - ready + ended - known,
        learning=known - scored,
        peak=peak_of(os.getpid()),
    )


def _read(database: Path) -> tuple[list[StandardRecord], dict[str, int]]:
    """The standardised records, and the place of each by its ids."""
    records: list[StandardRecord] = []
    places: dict[str, int] = {}
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        for source, source_id, standard in connection.execute(
            "SELECT r.source, r.source_id, v.standard FROM record r"
            " CROSS JOIN record_version v ON v.id = r.version_id"
        ):
            places[f"{source}{SEPARATOR}{source_id}"] = len(records)
            records.append(decode_standard(standard))
    return records, places


def main() -> None:
    """Do what standard input asks for."""
    asked = json.load(sys.stdin)
    records, places = _read(Path(asked["database"]))
    with Path(asked["pairs"]).open(encoding="utf-8", newline="") as file:
        named = np.array([(places[a], places[b]) for a, b in csv.reader(file)], dtype=np.intp)
    del places
    done = work(records, named[:, 0], named[:, 1])
    print(json.dumps(asdict(done)))


if __name__ == "__main__":
    main()
