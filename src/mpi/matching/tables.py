"""The tables in ``data/``: facts that rules are made of, each row with its source."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from functools import lru_cache
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


@lru_cache(maxsize=1)
def census_frequencies() -> Mapping[str, Mapping[str, float]]:
    """How common names are where they are common: trait → name → share.

    A name's share is the largest of those among all (US Census 1990), among the living by year of birth (Social
    Security), and where a community lives that has it: neighbours are drawn from there, not from the nation.
    """
    packed = (files("mpi.matching") / "data" / "name_frequencies.csv.gz").read_bytes()
    tables: dict[str, dict[str, float]] = {}
    for trait, name, share in csv.reader(gzip.decompress(packed).decode().splitlines()):
        tables.setdefault(trait, {})[name] = float(share)
    for trait, shares in read_words("community_names").items():
        for name, share in shares.items():
            tables[trait][name] = max(tables[trait].get(name, 0.0), float(share))
    return MappingProxyType(tables)
