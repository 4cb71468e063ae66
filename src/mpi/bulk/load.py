"""Loading a file: every row through the same door as a request, rejected rows told apart.

Loading a file again changes nothing, so an interrupted load is simply repeated.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from mpi.bulk.rows import Row
from mpi.domain.record import Submission
from mpi.domain.registration import UNKNOWN_FIELD, read_flat
from mpi.errors import InvalidInput, MpiError
from mpi.service.index import MasterPatientIndex

Reject = Callable[[str], object]
"""Takes one line of the reject file. It holds the row, so it is patient data."""


@dataclass(slots=True)
class Report:
    """What a load did so far. ``unchanged`` rows were known already; ``warned`` ones are loaded."""

    rows: int = 0
    rejected: int = 0
    unchanged: int = 0
    warned: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    unknown_columns: Counter[str] = field(default_factory=Counter)


async def load(
    index: MasterPatientIndex,
    rows: Iterable[Row],
    *,
    actor: str,
    source: str | None = None,
    reject: Reject,
    progress: Callable[[Report], object],
) -> Report:
    """Enroll every row, in order. ``source`` applies to rows that name none.

    ``reject`` gets an NDJSON line per unusable row; ``progress`` is called after every row.
    Raises what stops the load as a whole, such as ``StoreUnavailable``.
    """
    report = Report()
    waiting: deque[Row] = deque()
    async for result in index.batch(
        _submissions(rows, source, waiting, report), enroll=True, actor=actor
    ):
        row = waiting.popleft()
        report.rows += 1
        if isinstance(result, MpiError):
            if result.retryable:
                raise result
            report.rejected += 1
            reject(_line(row, result))
        else:
            report.statuses[result.status] += 1
            report.unchanged += result.event_id is None
            report.warned += bool(result.warnings)
        progress(report)
    return report


def _submissions(
    rows: Iterable[Row], source: str | None, waiting: deque[Row], report: Report
) -> Iterator[Submission | MpiError]:
    """What each row submits; ``waiting`` remembers the rows whose answer is not there yet."""
    for row in rows:
        waiting.append(row)
        try:
            yield _submission(row, source, report)
        except InvalidInput as error:
            yield error


def _submission(row: Row, source: str | None, report: Report) -> Submission | MpiError:
    if isinstance(row.content, MpiError):
        return row.content
    submission, warnings = read_flat(row.content, source)
    if submission.key is None:
        return InvalidInput("source and source_id are missing")
    report.unknown_columns.update(w.field for w in warnings if w.code == UNKNOWN_FIELD)
    return submission


def _line(row: Row, error: MpiError) -> str:
    content = None if isinstance(row.content, MpiError) else row.content
    known = {"line": row.line, "code": error.code, "detail": error.detail, "row": content}
    known["errors"] = error.extra.get("errors", [])
    try:
        return orjson.dumps(known).decode() + "\n"
    except orjson.JSONEncodeError:  # nested deeper than what may be written, though not to be read
        return orjson.dumps(known | {"row": None}).decode() + "\n"
