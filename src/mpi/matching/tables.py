"""The tables in ``data/``: facts that rules are made of, each row with its source."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType


def read_rows(name: str) -> list[dict[str, str]]:
    """The rows of ``data/<name>.csv`` by column name."""
    text = (files("mpi.matching") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def read_words(name: str) -> Mapping[str, Mapping[str, str]]:
    """A table with the columns ``kind``, ``word`` and ``value`` as kind → word → value."""
    kinds: dict[str, dict[str, str]] = {}
    for row in read_rows(name):
        kinds.setdefault(row["kind"], {})[row["word"]] = row["value"]
    return MappingProxyType(kinds)
