"""Distinct queries: half altered copies of stored registrations, half people nobody registered."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import orjson

from mpi.demo.draw import Draw
from mpi.demo.noise import misdial, misspell
from mpi.demo.population import Population

LEAST_FIELDS = 12
"""Fewer traits would make queries cheaper than registrations are."""

UNKNOWN_SEED = 7_919
"""Another seed than that of any measured population: nobody drawn from it is registered."""

SOURCE = "HOSP-A"
"""Where registrations of mixed traffic come from."""

Patient = dict[str, str]
_NO_TRAIT = frozenset({"source", "source_id", "recorded_at"})
_STAGE = 5


def write_queries(path: Path, population: Path, records: int, count: int) -> None:
    """Write ``count`` distinct ``/mpi/match`` bodies, one a line, that enroll nothing.

    ``population`` is the CSV that the index was loaded from, of ``records`` rows.
    """
    known, unknown = altered(population, records), strangers(count)
    with path.open("wb") as file:
        for body in islice(_distinct(_alternating(known, unknown)), count):
            file.write(body + b"\n")


def write_mixed(path: Path, population: Path, records: int, count: int) -> None:
    """As :func:`write_queries`, but every second body is a registration under a new number."""
    known, unknown = altered(population, records), strangers(count)
    with path.open("wb") as file:
        for number, query in enumerate(islice(_distinct(_alternating(known, unknown)), count)):
            file.write((_registering(query, number) if number // 2 % 2 else query) + b"\n")


def _registering(query: bytes, number: int) -> bytes:
    asked = orjson.loads(query)["patient_data"]
    ids = {"source": SOURCE, "source_id": f"mixed-{number}"}
    return orjson.dumps({"patient_data": asked, **ids})


def altered(population: Path, records: int) -> Iterator[Patient]:
    """Stored registrations from all over the file, each with one to three slips."""
    for lap in range(1, 100):
        draw = Draw.of(UNKNOWN_SEED, lap, _STAGE)
        skip = max(1, records // 50_000)
        for row in islice(_rows(population), draw.below(skip), None, skip):
            patient = traits(row)
            if len(patient) >= LEAST_FIELDS:
                yield alter(draw, patient)


def strangers(count: int) -> Iterator[Patient]:
    """People of another population, in endless supply for ``count`` queries."""
    for row, _ in Population(max(1_000, count * 2), UNKNOWN_SEED).rows():
        patient = traits(row)
        if len(patient) >= LEAST_FIELDS:
            yield patient


def traits(row: Patient) -> Patient:
    """What a row says about the patient; ids and empty columns are left out."""
    return {name: value for name, value in row.items() if value and name not in _NO_TRAIT}


def alter(draw: Draw, patient: Patient) -> Patient:
    """A copy as another desk would write it: its own number, and one to three slips."""
    changed = dict(patient)
    changed["mrn"] = str(10_000_000 + draw.below(89_999_999))
    names = [name for name in _SLIPS if changed.get(name)]
    for _ in range(1 + draw.below(3)):
        name = draw.pick(names)
        changed[name] = _SLIPS[name](draw, changed[name])
    return changed


def _slip_in_digits(draw: Draw, text: str) -> str:
    """One wrong digit among whatever stands between the digits."""
    places = [place for place, character in enumerate(text) if character.isdigit()]
    if len(places) < 2:
        return text
    wrong = misdial(draw, "".join(text[place] for place in places))
    characters = list(text)
    for place, digit in zip(places, wrong, strict=True):
        characters[place] = digit
    return "".join(characters)


_SLIPS: dict[str, Callable[[Draw, str], str]] = {
    "first_name": misspell,
    "last_name": misspell,
    "address": misspell,
    "city": misspell,
    "email": misspell,
    "phone": _slip_in_digits,
    "zip": _slip_in_digits,
    "ssn": _slip_in_digits,
}


def _rows(population: Path) -> Iterator[Patient]:
    with population.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _alternating(known: Iterator[Patient], unknown: Iterator[Patient]) -> Iterator[Patient]:
    for pair in zip(known, unknown, strict=False):
        yield from pair


def _distinct(patients: Iterator[Patient]) -> Iterator[bytes]:
    seen: set[bytes] = set()
    for patient in patients:
        body = orjson.dumps({"patient_data": patient, "enroll": False})
        if body not in seen:
            seen.add(body)
            yield body
