"""What a bench found: tables of figures, kept as JSON so that the next run can be compared with this one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.statistics import Spread


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure is held to, in words, and whether it is met."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value beside its floor or rival.

    ``against`` says in words how the two compare: ``4.2×`` or ``+ 0.8 ms``.
    """

    what: str
    unit: str
    ours: Spread
    beside: str = ""
    theirs: Spread | None = None
    against: str = ""
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Figures of one subject. ``setting`` is what must be equal for two runs to be comparable."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    setting: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def faster(ours: Spread, theirs: Spread) -> float:
    """How many times shorter ours takes."""
    return theirs.median / ours.median


def more(ours: Spread, theirs: Spread) -> float:
    """How many times more ours does."""
    return ours.median / theirs.median


def times(ratio: float) -> str:
    """A ratio in words, such as ``4.2×``."""
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.3g}×"


def at_least(ratio: float, goal: float) -> Goal:
    """A goal for a ratio."""
    return Goal(f"≥ {goal:g}×", ratio >= goal)


Document = dict[str, Any]
"""Table names to what :func:`entry` makes of them."""


def entry(table: Table, machine: Mapping[str, str], moment: str) -> dict[str, Any]:
    """A table as it is kept, with the machine and the time (ISO 8601) of its run."""
    return {"at": moment, "machine": dict(machine), **asdict(table)}


def read(path: Path) -> Document:
    """The results kept in a file; empty when there are none yet."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text("utf-8"))
    return document if isinstance(document, dict) else {}


def write(path: Path, document: Document) -> None:
    """Keep results; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    draft.replace(path)


def former(document: Document, table: Table) -> dict[str, float]:
    """Medians of the last run of a table by :func:`label`; empty when it ran under other settings."""
    last = document.get(table.name)
    if last is None or last["setting"] != dict(table.setting):
        return {}
    return {f"{f['what']}|{f['unit']}": f["ours"]["median"] for f in last["figures"]}


def label(figure: Figure) -> str:
    """What names a figure within its table."""
    return f"{figure.what}|{figure.unit}"
