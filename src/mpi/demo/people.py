"""What is true of a person: the facts behind the registrations, and how people are related."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, TypeVar

from mpi.demo.places import Residence

# Registrations are spread over these years (proleptic day numbers, as of ``date.toordinal``).
OPENING = date(2010, 1, 1).toordinal()
CLOSING = date(2025, 12, 31).toordinal()

T = TypeVar("T")
Timeline = tuple[tuple[int, T], ...]
"""What held from which day on, oldest first; the first entry holds from the beginning."""


@dataclass(frozen=True, slots=True)
class Lent:
    """What a family member lends to a person at the registration desk."""

    ssn: str
    phone: str
    email: str
    given: str = ""


# Not frozen: that would triple the time it takes to make one, and they are made by the million.
@dataclass(slots=True, repr=False)
class Person:
    """One human being. Days are proleptic day numbers; '' means there is none.

    ``slot`` names the person among all (below 2**44); ``baby_name`` is what the delivery ward
    wrote before there was a name, ``renamed`` whether anybody ever corrected it; ``birth_order``
    is '1' or '2' for twins. ``registrations`` is how often the person registers (1 to 8).
    """

    entity_id: str
    household_id: str
    slot: int
    sex: str
    given: str
    middle: str
    native_given: str
    native_family: str
    surnames: Timeline[str]
    suffix: str
    birth_day: int
    death_day: int | None
    ssn: str
    mobile: str
    email: str
    residences: Timeline[Residence]
    mothers_maiden: str
    birth_order: str
    baby_name: str
    renamed: bool
    guardian: Lent | None
    partner: Lent | None
    registrations: int
    tags: tuple[str, ...]

    @property
    def maiden(self) -> str:
        return self.surnames[0][1]


class Relation(NamedTuple):
    """Two people who look alike and are not the same.

    ``relation`` is twin, jr, spouse, sibling, parent or namesake; ``entity_a < entity_b``.
    """

    entity_a: str
    entity_b: str
    relation: str


@dataclass(frozen=True, slots=True)
class Household:
    """People at one address; relations name members, or (namesake) an earlier household's."""

    people: tuple[Person, ...]
    relations: tuple[Relation, ...]


def at(timeline: Timeline[T], day: int) -> T:
    """What held on ``day``."""
    value = timeline[0][1]
    for since, later in timeline[1:]:
        if since > day:
            break
        value = later
    return value


def relate(one: str, other: str, relation: str) -> Relation:
    return Relation(min(one, other), max(one, other), relation)
