"""Whole populations: loading a file, exporting the crosswalk and what was said of pairs."""

from __future__ import annotations

import csv
import gc
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from mpi.bootstrap.container import Container
from mpi.bulk.checkpoint import CheckpointFile, Origin, origin_of
from mpi.bulk.files import check_outputs, private_file, shown
from mpi.bulk.load import Report, load
from mpi.bulk.piped import as_file
from mpi.bulk.read_ahead import Reading, reader
from mpi.bulk.rejects import draft_of
from mpi.bulk.resume import ResumableLoad
from mpi.commands.session import ACTOR, AsJson, Demo, Embedded, opened, run, settings
from mpi.commands.terminal import note, progress_bar, show_json, show_pairs
from mpi.errors import InvalidInput
from mpi.evaluation.verdicts import VERDICT_COLUMNS, verdicts
from mpi.settings import Settings, data_directory

_COLLECT_AFTER = 100_000
_LONGEST_NAME = 150
"""Bytes of the name of a file that the name of its reject file repeats: 255 are the most that a name may have."""

exports = typer.Typer(help="Write what the index knows to a file.", no_args_is_help=True)

_GROUP = 1_000
"""Rows of a load that become durable together unless BATCH_SIZE is set, or fewer when that takes too long for others
who write: a page that many of them change is then written once."""


def load_file(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or NDJSON, gzip-packed or not; or a pipe.")
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
    """Register every row of a file. A load that was interrupted goes on; repeating one changes nothing.

    Rejected rows leave the others alone and the exit code 0, unless every row was rejected: then it is 1.
    """
    chosen = settings(embedded=embedded, demo=demo)
    if "batch_size" not in chosen.model_fields_set:
        chosen = chosen.model_copy(update={"batch_size": _GROUP})
    path = path.absolute()
    if rejects is not None:
        check_outputs(rejects, draft_of(rejects), inputs=[path], index=chosen.sqlite_path)
    renames = renames_of(rename)
    started = perf_counter()
    with as_file(path, data_directory()) as file, _rare_collections():
        origin = origin_of(file, source, renames, rejects)
        # What comes through a pipe is known again by what it is, in whatever folder the command is given.
        name = file if path.is_file() else Path("/", origin.digest)
        checkpoints = CheckpointFile(chosen.beside_index, name)
        try:
            state = run(
                _resume(chosen, file, origin, checkpoints, rejects or _default_rejects(path))
            )
        except KeyboardInterrupt:
            note("Interrupted: what is loaded stays, and the same command goes on from there.")
            raise
    _show(state, perf_counter() - started, as_json=as_json)
    if state.report.rows == state.report.rejected > 0:
        raise InvalidInput(
            "every row was rejected; the reject file tells why (`--source` is for rows that name none)"
        )


@contextmanager
def _rare_collections() -> Iterator[None]:
    """It keeps thousands of records at hand and makes hardly any cycles; looking for them took 6 % of its time."""
    usual = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


async def _resume(
    chosen: Settings, file: Path, origin: Origin, checkpoints: CheckpointFile, rejects: Path
) -> ResumableLoad:
    """Load what no load before has loaded; nobody else may load the same meanwhile."""
    with checkpoints.held():
        async with opened(chosen, create=True) as index:
            state = await ResumableLoad.begin(index.store, checkpoints, origin, rejects, note)
            await _load(index, file, state)
            return state


async def _load(index: Container, path: Path, state: ResumableLoad) -> None:
    origin = state.origin
    reading = Reading(path, origin.rename, origin.source, state.skipped, index.settings.batch_size)
    with (
        progress_bar("Loading", counts_rows=False) as bar,
        reader(index.settings, reading, origin.size) as file,
        closing(state.rejected),
    ):
        task = bar.add_task("", total=origin.size, rows=0)

        async def settled(report: Report) -> None:
            await state.keep(report)
            bar.update(task, completed=file.position, rows=report.rows - state.skipped)

        state.report = await load(
            index.index,
            file.rows(),
            actor=ACTOR,
            reject=state.rejected.write,
            settled=settled,
            every=index.settings.batch_size,
            report=state.report,
        )
        bar.update(task, completed=origin.size, rows=state.report.rows - state.skipped)
        state.finish()


def _default_rejects(path: Path) -> Path:
    """A name that no other load gets, however many files of one name are loaded at once."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    name = f"{_shortened(shown(Path(path.name)))}.{moment}.{secrets.token_hex(4)}.rejects.ndjson"
    return data_directory() / "rejects" / name


def _shortened(name: str) -> str:
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore")


def renames_of(text: str) -> dict[str, str]:
    """``theirs=ours`` pairs as typed. Raises ``InvalidInput``."""
    renames = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        theirs, sign, ours = part.partition("=")
        if not sign or not theirs.strip() or not ours.strip():
            raise InvalidInput("--rename takes pairs like rec_id=source_id,given=first_name")
        renames[theirs.strip()] = ours.strip()
    return renames


def _show(state: ResumableLoad, seconds: float, *, as_json: bool) -> None:
    report = state.report
    rejects = state.rejected.path if report.rejected else None
    facts: dict[str, Any] = {
        "rows": report.rows,
        **{status: report.statuses[status] for status in ("matched", "created", "review")},
        "unchanged": report.unchanged,
        "with_warnings": report.warned,
        "rejected": report.rejected,
        "resumed_after": state.skipped,
        "seconds": round(seconds, 1),
        "rows_per_second": round((report.rows - state.skipped) / seconds),
    }
    if as_json:
        unknown = dict(report.unknown_columns)
        show_json(facts | {"unknown_columns": unknown, "rejects": rejects})
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

    chosen = settings(embedded=embedded, demo=demo)
    check_outputs(path, index=chosen.sqlite_path)

    async def work() -> int:
        async with opened(chosen) as index, aclosing(index.index.crosswalk()) as crosswalk:
            found = ((key.source, key.source_id, mpi_id) async for key, mpi_id in crosswalk)
            return await _write_table(path, ("source", "source_id", "mpi_id"), found)

    rows = run(work())
    show_json({"rows": rows}) if as_json else note(f"{rows:,} records are written.")


@exports.command("verdicts")
def export_verdicts(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file to write.")],
    *,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Write what Verato said of pairs of records, as `mpi train --pairs` reads it, and when."""

    chosen = settings(embedded=embedded, demo=demo)
    check_outputs(path, index=chosen.sqlite_path)

    async def work() -> int:
        async with opened(chosen) as index:
            found = (verdict.row() async for verdict in verdicts(index.store))
            return await _write_table(path, VERDICT_COLUMNS, found)

    rows = run(work())
    show_json({"rows": rows}) if as_json else note(f"{rows:,} verdicts are written.")


async def _write_table(
    path: Path, columns: Sequence[str], rows: AsyncIterator[tuple[str, ...]]
) -> int:
    """Write a CSV file of patient data, whole or not at all; returns how many rows it has."""
    count = 0
    with private_file(path) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        async for row in rows:
            table.writerow(row)
            count += 1
    return count
