"""The package's own data files, read once. ``data/README.md`` names the sources."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from mpi.demo.draw import Weighted

_Shares = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class City:
    """A city with the ZIP codes and telephone area codes that are really used there."""

    name: str
    state: str
    zips: tuple[str, ...]
    area_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Script:
    """Names of a language that has a script of its own, as ``(native, Latin)`` pairs."""

    surnames: tuple[tuple[str, str], ...]
    given: dict[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class NameTables:
    """Weighted names. Keys ``M`` and ``F`` are the sexes; spellings are display forms."""

    surnames: Weighted[str]
    hispanic_surnames: Weighted[str]
    is_hispanic: frozenset[str]
    given: dict[str, Weighted[str]]
    modern: dict[str, Weighted[str]]
    hispanic: dict[str, Weighted[str]]
    accents: dict[str, str]
    nicknames: dict[str, tuple[str, ...]]
    scripts: dict[str, Script]
    coined: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class StreetTables:
    """Street names, and types and directions as ``(long, short)`` pairs."""

    names: Weighted[str]
    types: Weighted[tuple[str, str]]
    directions: tuple[tuple[str, str], ...]


def _lines(name: str) -> Iterator[list[str]]:
    packed = (files("mpi.demo") / "data" / name).read_bytes()
    reader = csv.reader(io.StringIO(gzip.decompress(packed).decode("utf-8")))
    next(reader)
    return reader


def _shares(name: str) -> _Shares:
    return [(item, int(share)) for item, share in _lines(name)]


@cache
def cities() -> Weighted[City]:
    """Cities weighted by population."""
    return Weighted(
        (City(name, state, tuple(zips.split()), tuple(codes.split())), int(thousands))
        for name, state, thousands, zips, codes in _lines("cities.csv.gz")
    )


@cache
def streets() -> StreetTables:
    document = json.loads((files("mpi.demo") / "data" / "streets.json").read_text("utf-8"))
    return StreetTables(
        names=Weighted((name, share) for name, share in document["names"]),
        types=Weighted(((long, short), share) for long, short, share in document["types"]),
        directions=tuple((long, short) for long, short in document["directions"]),
    )


def _script(entry: dict[str, list[list[str]]]) -> Script:
    def pairs(key: str) -> tuple[tuple[str, str], ...]:
        return tuple((native, latin) for native, latin in entry[key])

    return Script(pairs("surnames"), {"M": pairs("male"), "F": pairs("female")})


@cache
def names() -> NameTables:
    document = json.loads((files("mpi.demo") / "data" / "names.json").read_text("utf-8"))
    surnames = _shares("surnames.csv.gz")
    hispanic = frozenset(document["hispanic_surnames"])
    sexes = ("M", "F")
    coined = document["coined"]
    return NameTables(
        surnames=Weighted(surnames),
        hispanic_surnames=Weighted((n, share) for n, share in surnames if n in hispanic),
        is_hispanic=hispanic,
        given={
            "M": Weighted(_shares("given_male.csv.gz")),
            "F": Weighted(_shares("given_female.csv.gz")),
        },
        modern={s: Weighted((n, k) for n, k in document["modern"][s]) for s in sexes},
        hispanic={s: Weighted((n, k) for n, k in document["hispanic_given"][s]) for s in sexes},
        accents=document["accents"],
        nicknames={name: tuple(short) for name, short in document["nicknames"].items()},
        scripts={name: _script(entry) for name, entry in document["native"].items()},
        coined=(tuple(coined["first"]), tuple(coined["middle"]), tuple(coined["last"])),
    )
