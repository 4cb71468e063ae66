"""Whether a new version of a registration is another patient's data under the same number. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from mpi.matching.comparison import TRAITS, compare
from mpi.matching.record import StandardRecord

_OTHER = frozenset({"different", "unfamiliar", "generation"})
_BORN_TOGETHER = frozenset({"exact", "january_first"})
_OWN_NUMBERS = ("ssn", "national_id", "identifier")


def overlays(before: StandardRecord, after: StandardRecord) -> bool:
    """Whether a new version is plainly another patient, or a twin, or a parent, or nobody any more.

    A placeholder standardises to nothing, so giving John Doe his real name is no overlay; that a patient becomes
    John Doe is one.
    """
    levels = _levels(before, after)
    other = {trait for trait, level in levels.items() if level in _OTHER}
    if {"given", "dob"} <= other or {"given", "family", "ssn"} <= other:
        return True
    return (
        _is_twin(levels) or levels["dob"] == "generation" or (_names(before) and not _names(after))
    )


def _levels(before: StandardRecord, after: StandardRecord) -> Mapping[str, str]:
    (vector,) = compare(before, [after])
    return {t.name: t.levels[n] for t, n in zip(TRAITS, vector.tolist(), strict=True)}


def _is_twin(levels: Mapping[str, str]) -> bool:
    """Born the same day under another name, and no number says that it is one person.

    Names are corrected, but not to what has nothing in common with them; with a new one comes the number of before.
    """
    if levels["given"] not in _OTHER or levels["dob"] not in _BORN_TOGETHER:
        return False
    return not any(levels[number] == "exact" for number in _OWN_NUMBERS)


def _names(record: StandardRecord) -> bool:
    """Whether it says anything of who the patient is."""
    return bool(
        record.given
        or record.family
        or record.dob
        or record.ssn
        or record.national_id
        or record.identifiers
    )
