"""Source records: what a facility told us about a patient, exactly as it told us.

Values are kept raw. Reading meaning into them is the work of :mod:`mpi.matching.standardize`;
the reprs here show shapes, never values, because reprs end up in logs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum


def filled(value: object, names: Iterable[str]) -> str:
    """What a value that holds patient data looks like: its type, and which of its fields hold something."""
    told = [name for name in names if getattr(value, name)]
    return f"<{type(value).__name__} {' '.join(told)}>"


class Guarded:
    """Mixin for values that hold patient data: the repr names the filled fields only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return filled(self, [f.name for f in fields(self)])  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, repr=False)
class Name(Guarded):
    """One name of a patient. ``use`` is ``official``, ``maiden`` or ``alias``."""

    given: str | None = None
    middle: str | None = None
    family: str | None = None
    suffix: str | None = None
    use: str = "official"


@dataclass(frozen=True, slots=True, repr=False)
class Address(Guarded):
    """One postal address, as submitted."""

    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Identifier(Guarded):
    """A number given by ``system`` (an assigning authority): ``kind`` is e.g. MRN, DL, PASSPORT."""

    kind: str
    value: str
    system: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Demographics(Guarded):
    """Everything one registration says about the patient; the flat columns fold into this."""

    names: tuple[Name, ...] = ()
    dob: str | None = None
    sex: str | None = None
    ssn: str | None = None
    addresses: tuple[Address, ...] = ()
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    mothers_maiden_name: str | None = None
    birth_order: str | None = None
    multiple_birth: str | None = None
    deceased_date: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class RecordKey:
    """Names a source record: the registering system and its number for the patient.

    A source id may be a medical record number, so the repr hides it.
    """

    source: str
    source_id: str

    def __repr__(self) -> str:
        return f"<RecordKey {self.source}>"


class RecordStatus(StrEnum):
    """``active`` is evidence; ``pending`` waits for a steward (overlay); the rest is history."""

    ACTIVE = "active"
    PENDING = "pending"
    HISTORY = "history"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, repr=False)
class TraitWarning(Guarded):
    """A trait that could not be used as given: ``field`` and a stable ``code``, never the value."""

    field: str
    code: str


@dataclass(frozen=True, slots=True, repr=False)
class Submission(Guarded):
    """One registration or query on its way in. ``key`` is None for a query without ids."""

    demographics: Demographics
    key: RecordKey | None = None
    recorded_at: datetime | None = None
