"""Comparator of birth dates: typing errors, estimates, and namesakes of another generation. Pure."""

from __future__ import annotations

from rapidfuzz.distance import OSA

from mpi.matching.comparators import MISSING

NEW_YEAR = "-01-01"
"""The day that is written where only the year is known."""

_GENERATION = 14
"""Years that parent and child are at least apart."""

CENTURY = 100
"""Years that hardly any two patients of one name and birthday are apart: it is a slip, or two digits read wrongly."""


def compare_dob(left: tuple[str, str], right: tuple[str, str]) -> str:
    """Dates of birth as (readable, damaged digits)."""
    one, other = left[0] or left[1], right[0] or right[1]
    if not one or not other:
        return MISSING
    if not left[0] or not right[0]:
        return "damaged" if OSA.distance(_digits(one), _digits(other)) <= 1 else MISSING
    if len(one) < 10 or len(other) < 10:
        short = min(len(one), len(other))
        return "partial" if one[:short] == other[:short] else "different"
    if one == other:
        return "january_first" if one.endswith(NEW_YEAR) else "exact"
    return _unequal_dates(one, other)


def _unequal_dates(one: str, other: str) -> str:
    estimated = one.endswith(NEW_YEAR), other.endswith(NEW_YEAR)
    if all(estimated):
        return _apart(one, other)  # two years, and no day that could agree
    if one[:4] == other[:4]:
        if one[5:7] == other[8:] and one[8:] == other[5:7]:
            return "day_month_swapped"
        if any(estimated):
            return "year_only"
    return _edited_date(one, other)


def _edited_date(one: str, other: str) -> str:
    distance, years = OSA.distance(one, other), years_apart(one, other)
    if years == CENTURY and one[4:] == other[4:]:
        return "one_edit"
    if distance == 1:
        return "decade" if _GENERATION <= years < CENTURY else "one_edit"
    if years >= _GENERATION:
        return "generation"
    same_parts = (one[:4] == other[:4]) + (one[5:7] == other[5:7]) + (one[8:] == other[8:])
    if same_parts == 2:
        return "two_parts"
    return "two_edits" if distance == 2 else "different"


def _apart(one: str, other: str) -> str:
    return "generation" if years_apart(one, other) >= _GENERATION else "different"


def years_apart(one: str, other: str) -> int:
    """Between the years of two dates."""
    return abs(int(one[:4]) - int(other[:4]))


def compare_birth_years(left: str, right: str) -> str:
    """Years of birth of dates that have nothing in common; a date without a readable year is silent."""
    if not left or not right:
        return MISSING
    return _apart(left, right)


def _digits(text: str) -> str:
    return text.replace("-", "")
