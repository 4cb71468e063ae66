"""What a command shows: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from mpi.bulk.files import shown
from mpi.commands.streams import printing


def console(*, error: bool = False) -> Console:
    """A terminal on standard output, or on standard error for what accompanies the result."""
    return Console(stderr=error, highlight=False, soft_wrap=True)


def show_json(value: Any) -> None:
    """Print a value of the service as one JSON document, escaped where standard output lacks a letter."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=_as_text).decode() + "\n"
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = "".join(sign if sign.isascii() else json.dumps(sign)[1:-1] for sign in text)
    with printing():
        sys.stdout.write(text)


def _as_text(value: object) -> str:
    return shown(value) if isinstance(value, Path) else str(value)


def show_pairs(title: str, pairs: Mapping[str, Any]) -> None:
    """Print names with their values."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, value in pairs.items():
        table.add_row(name.replace("_", " "), _cell(value))
    _print(table)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their headings."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(_cell, row))
    _print(table)


def show_text(text: str) -> None:
    """Print a text as it is."""
    with printing():
        typer.echo(text, nl=False)


def _print(table: Table) -> None:
    with printing():
        console().print(table)


def note(sentence: str) -> None:
    """Say something beside the result, on standard error."""
    with suppress(OSError):  # a full disk that takes no words is no reason to fail
        console(error=True).print(_shown(sentence))


def _cell(value: Any) -> Text:
    return _shown(_text(value))


def _shown(text: str) -> Text:
    """What a terminal may be sent: no markup, and none of the signs that would move, colour or clear what it shows."""
    return Text(shown(text))


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_text(item) for item in value) or "–"
    return str(value)


class _Rate(ProgressColumn):
    """Rows per second so far, for tasks that count ``rows``."""

    def render(self, task: Task) -> Text:
        rows, seconds = task.fields.get("rows"), task.elapsed or 0
        return Text(f"{rows / seconds:,.0f} rows/s" if rows and seconds > 0 else "")


@contextmanager
def progress_bar(title: str, *, counts_rows: bool) -> Iterator[Progress]:
    """A bar with rate and time left on standard error; silent where that is no terminal."""
    amount = MofNCompleteColumn() if counts_rows else TaskProgressColumn()
    terminal = console(error=True)
    bar = Progress(
        TextColumn(title + " {task.description}"),
        BarColumn(),
        amount,
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=terminal,
        disable=not terminal.is_terminal,
        refresh_per_second=4,
    )
    with bar:
        yield bar


@contextmanager
def steps(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each step of a long work: tell the step, how much of it is done, and how much it is."""
    with progress_bar(title, counts_rows=False) as bar:
        known: dict[str, TaskID] = {}

        def step(name: str, done: int, total: int) -> None:
            if name not in known:
                for earlier in known.values():
                    bar.update(earlier, completed=bar.tasks[earlier].total)
                known[name] = bar.add_task(name, total=total)
            bar.update(known[name], completed=done, total=total)

        yield step
