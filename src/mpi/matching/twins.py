"""Of which persons a record may be merely the twin, as the other people born there that day show. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mpi.domain.identity import Candidate
from mpi.matching.comparators import tells_of_several
from mpi.matching.comparison import compare
from mpi.matching.model import Matrix
from mpi.matching.record import StandardRecord
from mpi.matching.vetoes import (
    TWIN_PATTERN,
    goes_by_a_variant,
    may_be_a_twin_s,
    may_be_twins,
    of_one_birth,
    of_one_day_and_home,
)

People = Mapping[str, Candidate]


def possible_twins(
    record: StandardRecord, vetoes: Mapping[str, tuple[str, ...]], people: People
) -> set[str]:
    """Whom of those with ``vetoes`` the record may be the twin of: nobody can tell which of several it is.

    A newborn without a name where another child was born that day in that home, or has no name. And who has a variant
    of the other's name where any record there tells of a multiple birth.
    """
    if not record.given:
        return {mpi_id for mpi_id in vetoes if _may_both_be_unnamed(record, people[mpi_id])}

    def levels(mpi_id: str) -> Matrix:
        return compare(record, [other.standard for other in people[mpi_id].records])

    found = set()
    if any(TWIN_PATTERN in seen and of_one_birth(levels(m)) for m, seen in vetoes.items()):
        unnamed = [m for m in vetoes if not has_a_name(people[m])]
        found |= {m for m in unnamed if may_be_a_twin_s(levels(m))}
    if _several_were_born(record, people.values()):
        found |= {m for m in vetoes if goes_by_a_variant(levels(m))}
    return found


def has_a_name(person: Candidate) -> bool:
    """Whether any record tells a given name."""
    return any(record.standard.given for record in person.records)


def _may_both_be_unnamed(record: StandardRecord, person: Candidate) -> bool:
    unnamed = [other.standard for other in person.records if not other.standard.given]
    return bool(unnamed) and may_be_twins(compare(record, unnamed))


def _several_were_born(record: StandardRecord, persons: Iterable[Candidate]) -> bool:
    """Whether anybody's record tells of a multiple birth on that day in that home."""
    return any(
        tells_of_several(other.standard.birth_order, other.standard.multiple_birth)
        and of_one_day_and_home(compare(record, [other.standard]))
        for person in persons
        for other in person.records
    )
