"""``python -m bench``: the usual tables, those that are named, the large index, or the performance page."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench import CHECKOUT, indexes, machine, peer, results, show
from bench.context import NAMED, Run, Sizes
from bench.progress import bar
from bench.results import Table
from bench.tables import (
    accuracy,
    bulk,
    cached,
    candidates,
    hanging,
    hits,
    hybrid,
    latency,
    load,
    matching,
    mixed,
    order,
    pairs,
    population,
    profile,
    reviewed,
    saving,
    single,
    tiers,
)
from mpi.commands import limits

# In the order of a whole run: what loads indexes comes first.
TABLES: dict[str, Callable[[Run], Table]] = {
    "load": load.table,
    "population": population.table,
    "accuracy": accuracy.table,
    "matching": matching.table,
    "reviewed": reviewed.table,
    "order": order.table,
    "candidates": candidates.table,
    "profile": profile.table,
    "pairs": pairs.table,
    "single": single.table,
    "cached": cached.table,
    "latency": latency.table,
    "tiers": tiers.table,
    "hits": hits.table,
    "hybrid": hybrid.table,
    "hanging": hanging.table,
    "saving": saving.table,
    "mixed": mixed.table,
    "bulk": bulk.table,
}
LONG = ("matching", "reviewed", "hits", "hybrid", "hanging", "saving", "mixed", "bulk")
"""Tables that take minutes each, and are measured only when they are named."""
_ON_MONGODB = {"single", "latency"}
"""Tables that ``--store mongodb`` has measured there, and keeps beside those of SQLite."""
_LARGE, _USUAL, _SMALL = 1_000_000, 100_000, 5_000
_DATA = "MPI_BENCH_DATA"
_PAGE = CHECKOUT / "docs" / "performance.md"
_MADE_PER_SECOND = 10_000


def main() -> int:
    """Run what the command line names.

    Exit code 2 when something could not be measured, 1 when ``--strict`` is given and a goal is missed.
    """
    options = _options()
    file = options.json or indexes.cache_directory() / (
        "quick.json" if options.quick else "results.json"
    )
    if options.what == ["report"]:
        return _report(file, options.output)
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    if options.what == ["build"]:
        return _build(options.records or _LARGE, console)
    limits.raised()  # a thousand connections need more open files; children inherit it
    return _measure(options, file, console)


def _measure(options: argparse.Namespace, file: Path, console: Console) -> int:
    """Print and keep each table as soon as it is there; answers the exit code."""
    names, sizes = options.what or [name for name in TABLES if name not in LONG], _sizes(options)
    document, python = results.read(file), peer.python(options.peers)
    described = machine.describe() | peer.versions(python)
    _tell_machine(console, described)
    missed = failed = 0
    with tempfile.TemporaryDirectory(prefix="mpi-bench-") as folder, bar() as progress:
        task = progress.add_task("", total=_seconds(names, sizes), label="", took=0.0)
        data = Path(options.data).resolve() if options.data else None
        run = Run(sizes, Path(folder), data, python, progress, task)
        for name in names:
            table = _table(name, run, console)
            if table is None:
                failed += 1
                continue
            table = replace(table, name=_kept_as(name, options.store))
            kept = results.entry(table, described, datetime.now(UTC).isoformat(timespec="seconds"))
            show.show(console, table, kept, results.former(document, table))
            document[table.name] = kept
            results.write(file, document)
            missed += sum(f.goal is not None and not f.goal.met for f in table.figures)
    console.print(f"{missed} goals are missed. Results are kept in {file}.")
    return 2 if failed else 1 if missed and options.strict else 0


def _kept_as(name: str, store: str) -> str:
    return f"{name} on MongoDB" if store == "mongodb" and name in _ON_MONGODB else name


def _table(name: str, run: Run, console: Console) -> Table | None:
    """One table. One that cannot be measured says why and leaves the others alone."""
    try:
        return TABLES[name](run)
    except RuntimeError as error:
        console.print(f"{name} could not be measured: {error}", style="bold red")
        return None


def _tell_machine(console: Console, described: dict[str, str]) -> None:
    console.print(", ".join(f"{name} {value}" for name, value in described.items()))
    if machine.is_busy(described):
        console.print(machine.BUSY, style="bold red")


def _build(records: int, console: Console) -> int:
    with bar() as progress:
        seconds = records / _MADE_PER_SECOND
        task = progress.add_task("", total=seconds, label="making up the population")

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=seconds * done / total)
            if done == total:
                # From here on the load shows its own bar.
                progress.stop()

        built = indexes.build(records, advance, shown=True).built
    console.print(f"{built['rows']:,} records, loaded in {built['seconds']:,.0f} s, are kept.")
    return 0


def _report(file: Path, output: Path) -> int:
    document = results.read(file)
    if not document:
        sys.stderr.write(f"bench: there are no results in {file} yet; run `make bench` first\n")
        return 2
    order = list(dict.fromkeys(_kept_as(name, store) for name in TABLES for store in NAMED))
    output.write_text(show.page(document, order), "utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "what", nargs="*", metavar="WHAT",
        help=f"Tables to measure: {', '.join(TABLES)}; all but {', '.join(LONG)} by default. `build` makes "
        "and keeps the index of --records, `report` writes the performance page.",
    )  # fmt: skip
    parser.add_argument("--records", type=int, help="Size of the index that is queried.")
    parser.add_argument(
        "--registrations", type=int, help="Registrations of the table `saving`: 20000 for a proof."
    )
    parser.add_argument("--rounds", type=int, help="Rounds of each measurement.")
    parser.add_argument("--minutes", type=float, help="How long mixed traffic flows; default: 1.")
    parser.add_argument(
        "--store", choices=list(NAMED), default="sqlite",
        help=f"Where the index lies for {', '.join(sorted(_ON_MONGODB))}.",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="Small sizes: does everything work?")
    parser.add_argument("--json", type=Path, help="Where results are kept and compared with.")
    parser.add_argument("--output", type=Path, default=_PAGE, help="The page that `report` writes.")
    parser.add_argument(
        "--data", default=os.environ.get(_DATA), help=f"Folder of the labelled sets ({_DATA})."
    )
    parser.add_argument("--peers", help="The Python that has the peers; default: .venv-bench.")
    parser.add_argument("--strict", action="store_true", help="Fail when a goal is missed.")
    options = parser.parse_args()
    if set(options.what) - TABLES.keys() and options.what not in (["build"], ["report"]):
        parser.error(f"WHAT is one or more of {', '.join(TABLES)}, or one of build and report")
    return options


def _sizes(options: argparse.Namespace) -> Sizes:
    usual = _SMALL if options.quick else _USUAL
    large = usual if options.quick or indexes.kept(_LARGE) is None else _LARGE
    records = options.records or large
    if records < _LARGE and not options.quick:
        sys.stderr.write(
            f"bench: queries meet {records:,} records; `python -m bench build` makes the index of "
            f"{_LARGE:,} once, then it is used.\n"
        )
    return Sizes(
        records=records,
        load_rows=usual,
        rounds=options.rounds or (3 if options.quick else 5),
        seconds=1.0 if options.quick else 3.0,
        rates=(500, 1_000),
        registrations=options.registrations or (500 if options.quick else 2_000),
        minutes=options.minutes or (0.1 if options.quick else 1.0),
        quick=options.quick,
        store=options.store,
    )


def _seconds(names: list[str], sizes: Sizes) -> float:
    """About how long the tables take, so that the bar can tell the time left."""
    asked = 2 * sizes.seconds * sizes.rounds * len(sizes.rates) * len(latency.CONNECTIONS)
    known = {
        "load": sizes.load_rows / 1_500 + 30,
        "population": 2 + sizes.records / 100_000,
        "accuracy": 40,
        "matching": 60 if sizes.quick else 360,
        "reviewed": 400,
        "order": 6 * (1 if sizes.quick else 5),
        "candidates": 5,
        "profile": 3 * sizes.rounds,
        "pairs": 8 * sizes.rounds,
        "single": 2 * sizes.rounds + 2,
        "cached": 3 * sizes.seconds * (sizes.rounds + 1),
        "latency": asked,
        "tiers": 5 * sizes.seconds * (sizes.rounds + 1),
        "hits": 20 * sizes.rounds,
        "hybrid": 30 * sizes.seconds + sizes.records / 5_000,
        "hanging": 30 * sizes.seconds + sizes.records / 2_500,
        "saving": sizes.registrations / 50,
        "mixed": 1.2 * (60 * sizes.minutes + sizes.seconds * sizes.rounds),
        "bulk": sizes.records / 4_000,
    }
    return sum(known[name] for name in names)


if __name__ == "__main__":
    raise SystemExit(main())
