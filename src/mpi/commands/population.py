"""Whole populations: loading a file, exporting the crosswalk."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from mpi.bootstrap import Container
from mpi.bulk.files import private_file
from mpi.bulk.load import Report, load
from mpi.bulk.rows import RowFile, open_rows
from mpi.commands.session import ACTOR, AsJson, Demo, Embedded, opened, run, settings
from mpi.commands.terminal import note, progress_bar, show_json, show_pairs
from mpi.errors import InvalidInput
from mpi.settings import data_directory

exports = typer.Typer(help="Write what the index knows to a file.", no_args_is_help=True)
_BAR_EVERY = 100


def load_file(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or NDJSON, gzip-packed or not.")
    ],
    source: Annotated[
        str | None, typer.Option(help="The source of rows that name none, e.g. HOSP-A.")
    ] = None,
    rename: Annotated[
        str, typer.Option(help="Their columns as ours: rec_id=source_id,given=first_name")
    ] = "",
    rejects: Annotated[
        Path | None, typer.Option(help="Unusable rows go here (NDJSON); default: data directory.")
    ] = None,
    *,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Register every row of a file. Repeating a load changes nothing."""
    chosen = settings(embedded=embedded, demo=demo)
    rejects = rejects or _default_rejects(path)

    async def work(file: RowFile, rejected: _Rejects) -> Report:
        async with opened(chosen, create=True) as index:
            return await _load(index, file, source, rejected)

    with open_rows(path, _renames(rename)) as file, _Rejects(rejects) as rejected:
        started = datetime.now(UTC)
        report = run(work(file, rejected))
        seconds = (datetime.now(UTC) - started).total_seconds()
    _show(report, seconds, rejects if report.rejected else None, as_json=as_json)


async def _load(index: Container, file: RowFile, source: str | None, rejected: _Rejects) -> Report:
    with progress_bar("Loading", counts_rows=False) as bar:
        task = bar.add_task("", total=file.size, rows=0)

        def advance(report: Report) -> None:
            if report.rows % _BAR_EVERY == 0:
                bar.update(task, completed=file.position, rows=report.rows)

        report = await load(
            index.index,
            file.rows(),
            actor=ACTOR,
            source=source,
            reject=rejected.write,
            progress=advance,
        )
        bar.update(task, completed=file.size, rows=report.rows)
        return report


class _Rejects:
    """A file that is only made when there is something to reject."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._file: TextIO | None = None

    def __enter__(self) -> _Rejects:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._stack.__exit__(*failure)

    def write(self, line: str) -> None:
        if self._file is None:
            self._file = self._stack.enter_context(private_file(self._path))
        self._file.write(line)


def _default_rejects(path: Path) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return data_directory() / "rejects" / f"{path.name}.{moment}.rejects.ndjson"


def _renames(text: str) -> dict[str, str]:
    renames = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        theirs, sign, ours = part.partition("=")
        if not sign or not theirs.strip() or not ours.strip():
            raise InvalidInput("--rename takes pairs like rec_id=source_id,given=first_name")
        renames[theirs.strip()] = ours.strip()
    return renames


def _show(report: Report, seconds: float, rejects: Path | None, *, as_json: bool) -> None:
    facts: dict[str, Any] = {
        "rows": report.rows,
        **{status: report.statuses[status] for status in ("matched", "created", "review")},
        "unchanged": report.unchanged,
        "with_warnings": report.warned,
        "rejected": report.rejected,
        "seconds": round(seconds, 1),
        "rows_per_second": round(report.rows / seconds) if seconds else None,
    }
    if as_json:
        unknown = dict(report.unknown_columns)
        show_json(facts | {"unknown_columns": unknown, "rejects": rejects and str(rejects)})
        return
    show_pairs("Loaded", facts)
    if report.unknown_columns:
        note(f"{len(report.unknown_columns)} columns are unknown and were not used; see --rename.")
    if rejects is not None:
        note(f"Rejected rows, with the reasons: {rejects}")


@exports.command("crosswalk")
def export_crosswalk(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write.")],
    *,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Write source,source_id,mpi_id of every record, ordered by source and source id."""

    async def work() -> int:
        rows = 0
        async with opened(settings(embedded=embedded, demo=demo)) as index:
            with private_file(path) as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerow(("source", "source_id", "mpi_id"))
                async for key, mpi_id in index.index.crosswalk():
                    table.writerow((key.source, key.source_id, mpi_id))
                    rows += 1
        return rows

    rows = run(work())
    show_json({"rows": rows}) if as_json else note(f"{rows:,} records are written.")
