"""Loading: every row through the same door as a request, rejected rows told apart.

Loading rows again changes nothing, so an interrupted load may always be repeated.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from mpi.bulk.rows import Row
from mpi.domain.record import Guarded, Submission
from mpi.domain.registration import UNKNOWN_FIELD, read_flat
from mpi.errors import InvalidInput, MpiError
from mpi.service.index import MasterPatientIndex
from mpi.service.preparation import Prepared

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


@dataclass(frozen=True, slots=True, repr=False)
class ReadRow(Guarded):
    """One row on its way into the index: what it registers or why it cannot, and the row itself as JSON."""

    line: int
    raw: bytes
    content: Submission | Prepared | MpiError
    unknown: tuple[str, ...] = ()


async def load(
    index: MasterPatientIndex,
    rows: Iterable[ReadRow],
    *,
    actor: str,
    reject: Reject,
    settled: Callable[[Report], Awaitable[None]],
    every: int,
    report: Report | None = None,
) -> Report:
    """Enroll every row, in order. ``report`` is that of the rows before, when a load is resumed.

    ``reject`` gets an NDJSON line per unusable row; ``settled`` is called whenever another ``every`` rows are durable.
    Raises what stops the load as a whole, such as ``StoreUnavailable``.
    """
    report = report or Report()
    waiting: deque[ReadRow] = deque()
    failures: list[MpiError] = []
    contents = _contents(rows, waiting, failures)
    async for result in index.batch(contents, enroll=True, actor=actor):
        row = waiting.popleft()
        report.rows += 1
        report.unknown_columns.update(row.unknown)
        if isinstance(result, MpiError):
            if result.retryable:
                raise result
            report.rejected += 1
            reject(_line(row, result))
        else:
            report.statuses[result.status] += 1
            report.unchanged += result.event_id is None
            report.warned += bool(result.warnings)
        if report.rows % every == 0:
            await settled(report)
    if failures:
        raise failures[0]
    return report


def _contents(
    rows: Iterable[ReadRow], waiting: deque[ReadRow], failures: list[MpiError]
) -> Iterator[Submission | Prepared | MpiError]:
    """What each row submits; ``waiting`` remembers the rows whose answer is not there yet.

    A damaged file ends like a whole one, and ``failures`` tells: the rows before the damage shall be loaded.
    """
    try:
        for row in rows:
            waiting.append(row)
            yield row.content
    except MpiError as error:
        failures.append(error)


def read_rows(rows: Iterable[Row], source: str | None = None) -> Iterator[ReadRow]:
    """What the rows register. ``source`` applies to rows that name none."""
    for row in rows:
        if isinstance(row.content, MpiError):
            yield ReadRow(row.line, b"null", row.content)
            continue
        raw = _raw(row.content)
        try:
            submission, warnings = read_flat(row.content, source)
        except InvalidInput as error:
            yield ReadRow(row.line, raw, error)
            continue
        unknown = tuple([w.field for w in warnings if w.code == UNKNOWN_FIELD])
        if submission.key is None:
            missing = InvalidInput("source and source_id are missing")
            yield ReadRow(row.line, raw, missing, unknown)
        else:
            yield ReadRow(row.line, raw, submission, unknown)


def _raw(content: dict[str, object]) -> bytes:
    """The row as a reject file shows it; null when it holds what JSON can carry but not write again."""
    try:
        return orjson.dumps(content)
    except orjson.JSONEncodeError:  # nested too deep, or letters of a foreign encoding in a heading
        return b"null"


def _line(row: ReadRow, error: MpiError) -> str:
    known = {"line": row.line, "code": error.code, "detail": error.detail}
    content = {"row": orjson.Fragment(row.raw), "errors": error.extra.get("errors", [])}
    return orjson.dumps(known | content).decode() + "\n"
