"""Writing a population down: registrations, truth and relatives as CSV."""

from __future__ import annotations

import csv
import gzip
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from mpi.demo.population import Population
from mpi.demo.registrations import COLUMNS

Progress = Callable[[int, int], None]
_REPORT_EVERY = 1000


def write(
    population: Population,
    rows_path: Path,
    truth_path: Path,
    related_path: Path | None = None,
    progress: Progress | None = None,
) -> None:
    """Write registrations, their truth and, if asked, the relatives; gzip where a name ends so.

    The files appear whole or not at all, readable by their owner only. ``rec_id`` in the truth
    is ``source|source_id``. ``progress`` is called with rows written and rows in all.

    :raises OSError: when a file cannot be written.
    """
    with ExitStack() as stack:
        rows = csv.writer(stack.enter_context(_new_file(rows_path)), lineterminator="\n")
        truth = csv.writer(stack.enter_context(_new_file(truth_path)), lineterminator="\n")
        rows.writerow(COLUMNS)
        truth.writerow(("rec_id", "entity_id", "household_id", "tags"))
        for done, (row, fact) in enumerate(population.rows(), start=1):
            rows.writerow(row.values())
            truth.writerow((fact.rec_id, fact.entity_id, fact.household_id, "|".join(fact.tags)))
            if progress is not None and done % _REPORT_EVERY == 0:
                progress(done, len(population))
        if related_path is not None:
            _write_related(population, stack.enter_context(_new_file(related_path)))
    if progress is not None:
        progress(len(population), len(population))


def _write_related(population: Population, file: TextIO) -> None:
    related = csv.writer(file, lineterminator="\n")
    related.writerow(("entity_a", "entity_b", "relation"))
    for relation in population.related():
        related.writerow((relation.entity_a, relation.entity_b, relation.relation))


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """A text file that takes its name only when everything is written."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "wb") as raw:
            with ExitStack() as stack:
                sink: Any = raw
                if path.suffix == ".gz":
                    # Without name and time of making, equal populations are equal files.
                    sink = stack.enter_context(gzip.GzipFile("", "wb", 5, raw, mtime=0))
                text = io.TextIOWrapper(sink, encoding="utf-8", newline="")
                yield text
                text.flush()
                text.detach()
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
