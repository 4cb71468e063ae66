"""Whether a new version of a registration is another patient's data under the same number. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mpi.matching.birthdays import CENTURY, NEW_YEAR, years_apart
from mpi.matching.comparison import TRAITS, compare
from mpi.matching.name_comparators import is_familiar
from mpi.matching.record import StandardRecord

_OTHER = frozenset({"different", "unfamiliar", "generation"})
_BORN_TOGETHER = frozenset({"exact", "january_first"})
_OWN_NUMBERS = {
    "ssn": frozenset({"exact", "one_edit", "last_four"}),
    "national_id": frozenset({"exact", "one_edit"}),
    "identifier": frozenset({"exact"}),
}
"""The numbers of a twin or a child are other ones; that of the version before may have a slip."""
_TELLING = (
    "given",
    "family",
    "dob",
    "dob_damaged",
    "ssn",
    "ssn_last4",
    "national_id",
    "identifiers",
)


def overlays(before: StandardRecord, after: StandardRecord) -> bool:
    """Whether a new version is plainly another patient, or a twin, or a parent, or nobody any more.

    A placeholder standardises to nothing, so giving John Doe his real name is no overlay.
    """
    levels = _levels(before, after)
    other = {trait for trait, level in levels.items() if level in _OTHER}
    if {"given", "dob"} <= other or {"given", "family", "ssn"} <= other:
        return True
    if _tells_who(before) and not _tells_who(after):
        return True
    owned = any(levels[trait] in own for trait, own in _OWN_NUMBERS.items())
    return not owned and (
        _is_twin(before, levels) or _is_of_another_generation(before, after, levels)
    )


def _levels(before: StandardRecord, after: StandardRecord) -> Mapping[str, str]:
    (vector,) = compare(before, [after])
    return {t.name: t.levels[n] for t, n in zip(TRAITS, vector.tolist(), strict=True)}


def _is_twin(before: StandardRecord, levels: Mapping[str, str]) -> bool:
    """Born the same day, under a name that has nothing in common with the one in use before.

    What is no known name may be a remark, or another spelling from elsewhere.
    """
    if levels["given"] not in _OTHER or levels["dob"] not in _BORN_TOGETHER:
        return False
    return len(before.given[0]) > 1 and is_familiar(before.given[0])


def _is_of_another_generation(
    before: StandardRecord, after: StandardRecord, levels: Mapping[str, str]
) -> bool:
    """As a parent and a namesake child; estimates and slips of the century are corrected every day."""
    if levels["dob"] != "generation" or NEW_YEAR in (before.dob[4:], after.dob[4:]):
        return False
    return before.dob[4:] != after.dob[4:] or years_apart(before.dob, after.dob) != CENTURY


def _tells_who(record: StandardRecord) -> bool:
    """Whether it says anything of who the patient is: a name, a birth date or a number."""
    return any(getattr(record, trait) for trait in _TELLING)
