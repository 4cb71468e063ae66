"""The demo: made-up registrations in an index of their own, or in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from mpi.bootstrap.container import Container
from mpi.bulk.files import check_outputs, writing
from mpi.bulk.load import Report, load, read_rows
from mpi.bulk.rows import Row
from mpi.commands.session import AsJson
from mpi.commands.terminal import note, progress_bar, show_json
from mpi.demo.files import write
from mpi.demo.population import ROWS, SEED, Population
from mpi.errors import ConfigurationError

_ACTOR = "demo"
_BAR_EVERY = 100

app = typer.Typer(help="Made-up patients, with their truth.", no_args_is_help=True)


async def fill_demo(container: Container) -> None:
    """Load the demo population unless it is there; an interrupted load goes on where it stopped.

    Raises:
        ConfigurationError: the database holds other registrations.
    """
    known = (await container.index.statistics())["records"]
    if not await container.store.is_demo():
        if known:
            place = "MPI_DB" if container.settings.store == "mongodb" else "MPI_SQLITE_PATH"
            raise ConfigurationError(
                f"{place} names an index that is no demo; unset it, or start without --demo"
            )
        await container.store.mark_demo()
    if known >= ROWS:
        return
    note(f"The first start of the demo loads {ROWS:,} made-up registrations; later ones do not.")
    with progress_bar("Loading", counts_rows=True) as bar:
        task = bar.add_task("", total=ROWS, rows=0)

        async def settled(report: Report) -> None:
            bar.update(task, completed=report.rows, rows=report.rows)

        rows = read_rows(_rows(Population(ROWS, SEED)))
        await load(
            container.index, rows, actor=_ACTOR, reject=_never, settled=settled, every=_BAR_EVERY
        )


def _rows(population: Population) -> Iterator[Row]:
    for number, (row, _) in enumerate(population.rows(), 1):
        yield Row(number, dict(row))


def _never(_: str) -> None:
    raise ConfigurationError("the demo population holds a row that the index refuses")


@app.command("population")
def population(
    path: Annotated[Path, typer.Argument(help="Registrations go here, as CSV (.gz packs them).")],
    rows: Annotated[int, typer.Option(help="How many registrations.")] = ROWS,
    seed: Annotated[int, typer.Option(help="Another seed makes other people.")] = SEED,
    profile: Annotated[str, typer.Option(help="How noisy: clean, normal, dirty …")] = "normal",
    truth: Annotated[
        Path | None, typer.Option(help="Who is who goes here; by default beside the rows.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Write a synthetic population with its truth, the same for the same seed."""
    truth = truth or path.with_name(f"truth-{path.name}")
    check_outputs(path, truth)
    made = Population(rows, seed, profile)
    with progress_bar("Making up patients", counts_rows=True) as bar:
        task = bar.add_task("", total=rows, rows=0)
        with writing(truth), writing(path):
            write(
                made,
                path,
                truth,
                progress=lambda done, _: bar.update(task, completed=done, rows=done),
            )
    if as_json:
        show_json({"rows": rows, "file": path, "truth": truth})
    else:
        note(f"{rows:,} registrations and their truth are written.")
