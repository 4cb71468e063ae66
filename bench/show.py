"""How figures are shown: on a terminal, and as the performance page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from bench import machine
from bench.results import Document, Table, label
from bench.statistics import Spread, change

_NOTABLE = 0.10
_MET = {True: "yes", False: "NO", None: ""}
COLUMNS = ("figure", "unit", "ours", "spread", "beside", "theirs", "compared", "goal", "met")

INTRODUCTION = """# Performance

This page is written by `python -m bench report` from the results of the last `make bench`; do not edit it. Figures are
medians over rounds with their smallest and largest; whatever they stand beside ran in the same run, in turn with ours.
Absolute figures are those of the machine named below; ratios and differences carry over best.

Run it yourself:

- `make bench` – the usual tables; `make bench ARGS="latency --records 100000"` – one of them;
- `make bench ARGS=build` – the index of a million records, made once and kept in the user's cache;
- `make profile` – a flame graph of the service.
"""


def number(value: float) -> str:
    """A value with as many digits as tell something; shares close to 1 differ in the fifth."""
    if value == round(value) and abs(value) < 1e15:
        return f"{value:,.0f}"
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    if 0.99 < value < 1:
        return f"{value:.5f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.4g}"


def cells(figure: Mapping[str, Any]) -> list[str]:
    """One kept figure as the cells under :data:`COLUMNS`."""
    ours, theirs, goal = figure["ours"], figure["theirs"], figure["goal"]
    return [
        figure["what"],
        figure["unit"],
        number(ours["median"]),
        _spread(ours),
        figure["beside"],
        number(theirs["median"]) if theirs else "",
        figure["against"],
        goal["text"] if goal else "",
        _MET[goal["met"] if goal else None],
    ]


def _spread(spread: Mapping[str, Any]) -> str:
    if spread["rounds"] == 1:
        return ""
    return f"{number(spread['low'])} – {number(spread['high'])}"


def show(
    console: Console, table: Table, entry: Mapping[str, Any], last: Mapping[str, float]
) -> None:
    """Print a table, with the change since the last comparable run."""
    grid = Grid(*COLUMNS, "last run", title=table.title, title_justify="left", header_style="bold")
    for column in (2, 3, 5, 6, 9):
        grid.columns[column].justify = "right"
    for figure, kept in zip(table.figures, entry["figures"], strict=True):
        goal = figure.goal
        style = "" if goal is None else "green" if goal.met else "red"
        row = cells(kept)
        changed = _changed(figure.ours, last.get(label(figure)))
        grid.add_row(*row[:-1], Text(row[-1], style), changed)
    console.print(grid)
    for note in table.notes:
        console.print(Text(f"  {note}"), style="dim")
    console.print()


def _changed(ours: Spread, last: float | None) -> Text:
    if last is None or (share := change(ours.median, last)) is None:
        return Text("")
    return Text(f"{share:+.1%}", "bold" if abs(share) >= _NOTABLE else "")


def page(document: Document, order: Sequence[str]) -> str:
    """The performance page in Markdown."""
    entries = [document[name] for name in order if name in document]
    machines = {machine.wording(entry["machine"]) for entry in entries}
    parts = [INTRODUCTION]
    if len(machines) == 1:
        parts.append(f"All of it on one machine: {machines.pop()}.\n")
    return "\n".join([*parts, *(_section(entry, named=bool(machines)) for entry in entries)])


def _section(entry: Mapping[str, Any], *, named: bool) -> str:
    """One table. ``named``: with its machine, because it is not that of all others."""
    described = entry["machine"]
    lines = [f"## {entry['title']}", "", _row(COLUMNS), _row(["---"] * len(COLUMNS))]
    lines += [_row(cells(figure)) for figure in entry["figures"]]
    lines += ["", *(f"- {note}" for note in entry["notes"])]
    if machine.is_busy(described):
        lines.append(f"- **{machine.BUSY}**")
    where = f" on {machine.wording(described)}" if named else ""
    lines += [
        f"- Measured {entry['at'][:10]}{where}, load at start {described['load_at_start']}.",
        "",
    ]
    return "\n".join(lines)


def _row(values: Sequence[str]) -> str:
    return f"| {' | '.join(value.replace('|', '∣') for value in values)} |"
