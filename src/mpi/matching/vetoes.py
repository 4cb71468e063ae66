"""Facts that forbid an automatic link whatever the weight says."""

from __future__ import annotations

from collections.abc import Collection

from mpi.matching.comparison import TRAIT_INDEX, level_number
from mpi.matching.model import Matrix

UNPROVEN = "nothing_personal_agrees"
"""The one veto that is no contradiction: what agrees may be a family's, or a birthday in one town."""

_GIVEN_APART = [level_number("given", level) for level in ("different", "loose", "alike")]
_OTHER_GIVEN = [level_number("given", level) for level in ("different", "loose")]
_OTHER_BIRTH = [level_number("dob", level) for level in ("different", "two_edits", "year_only")]
# A mistyped number is one edit away, that of a twin usually the next one: a level of its own.
_OF_ONE_PERSON = [
    ("ssn", "exact"),
    ("ssn", "one_edit"),
    ("national_id", "exact"),
    ("national_id", "one_edit"),
    ("identifier", "exact"),
]
_RARER_THAN_A_TOWN = [
    *_OF_ONE_PERSON,
    ("ssn", "last_four"),
    ("address", "exact"),
    ("phone", "exact"),
    ("email", "exact"),
]
_OTHER_FAMILY = [level_number("family", level) for level in ("different", "loose")]
_DOB_SAME = [level_number("dob", level) for level in ("exact", "january_first")]


def vetoes_between(levels: Matrix) -> tuple[str, ...]:
    """Stable codes of every veto between a record and the records of one person, from their comparison vectors."""
    found = []
    if _any(levels, "suffix", "conflict"):
        found.append("suffix_conflict")
    if _any(levels, "birth_order", "conflict"):
        found.append("birth_order_conflict")
    if _only(levels, "ssn", ("different", "last_four_differ")) and not _any(
        levels, "identifier", "exact"
    ):
        found.append("ssn_conflict")
    if _twin_pattern(levels):
        found.append("twin_pattern")
    if _another_sex_and_name(levels):
        found.append("sex_and_given_differ")
    if _nothing_personal_agrees(levels) or _nameless(levels):
        found.append(UNPROVEN)
    return tuple(found)


def _any(levels: Matrix, trait: str, level: str) -> bool:
    return bool((levels[:, TRAIT_INDEX[trait]] == level_number(trait, level)).any())


def _only(levels: Matrix, trait: str, names: tuple[str, ...]) -> bool:
    """The trait was compared somewhere, and nowhere better than the named levels."""
    column = levels[:, TRAIT_INDEX[trait]]
    spoken = column[column > 0]
    return bool(len(spoken)) and set(spoken.tolist()) <= {
        level_number(trait, name) for name in names
    }


def _given_apart(levels: Matrix, apart: Collection[int]) -> bool:
    """Some given names were compared, and none of them agrees."""
    column = set(levels[:, TRAIT_INDEX["given"]].tolist()) - {0}
    return bool(column) and column <= set(apart)


def _twin_pattern(levels: Matrix) -> bool:
    """Born the same day under another given name, and no number says that it is one person."""
    if not _given_apart(levels, _GIVEN_APART) or not set(
        levels[:, TRAIT_INDEX["dob"]].tolist()
    ) & set(_DOB_SAME):
        return False
    return not any(_any(levels, trait, level) for trait, level in _OF_ONE_PERSON)


def _another_sex_and_name(levels: Matrix) -> bool:
    """Sex and given name both disagree: spouses and siblings share everything else."""
    return _given_apart(levels, _OTHER_GIVEN) and _only(levels, "sex", ("different",))


def _nothing_personal_agrees(levels: Matrix) -> bool:
    """Neither given name nor birth date agrees: what else agrees, a whole family shares – at times even the SSN."""
    given = set(levels[:, TRAIT_INDEX["given"]].tolist()) - {0}
    born = set(levels[:, TRAIT_INDEX["dob"]].tolist()) - {0}
    if not given <= set(_OTHER_GIVEN) or not born <= set(_OTHER_BIRTH):
        return False
    if _any(levels, "identifier", "exact") or _any(levels, "national_id", "exact"):
        return False
    return bool(given or born) or not _any(levels, "ssn", "exact")


def _nameless(levels: Matrix) -> bool:
    """No name agrees and nothing that few share: strangers of one town have birth date, sex and postcode in common."""
    given = set(levels[:, TRAIT_INDEX["given"]].tolist()) - {0}
    family = set(levels[:, TRAIT_INDEX["family"]].tolist()) - {0}
    if not given <= set(_OTHER_GIVEN) or not family <= set(_OTHER_FAMILY):
        return False
    return not any(_any(levels, trait, level) for trait, level in _RARER_THAN_A_TOWN)
