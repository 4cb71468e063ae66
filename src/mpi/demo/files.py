"""Writing a population down: registrations, truth and relatives as CSV."""

from __future__ import annotations

import csv
import gzip
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from mpi.demo.people import Relation
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
    workers: int = 1,
) -> None:
    """Write registrations, their truth and, if asked, the relatives; gzip where a name ends so.

    The files appear whole or not at all, readable by their owner only. ``rec_id`` in the truth
    is ``source|source_id``. ``progress`` is called with rows written and rows in all;
    ``workers`` processes share the work.

    :raises OSError: when a file cannot be written.
    """
    with ExitStack() as stack:

        def table(path: Path, header: Sequence[str]) -> Callable[[Iterable[str]], object]:
            writer = csv.writer(stack.enter_context(_new_file(path)), lineterminator="\n")
            writer.writerow(header)
            return writer.writerow

        rows = table(rows_path, COLUMNS)
        truth = table(truth_path, ("rec_id", "entity_id", "household_id", "tags"))
        related = table(related_path, Relation._fields) if related_path is not None else None
        for done, (row, fact) in enumerate(population.rows(workers, related), start=1):
            rows(row.values())
            truth((fact.rec_id, fact.entity_id, fact.household_id, "|".join(fact.tags)))
            if progress is not None and done % _REPORT_EVERY == 0:
                progress(done, len(population))
    if progress is not None:
        progress(len(population), len(population))


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
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
