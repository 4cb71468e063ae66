"""Compare one record with many: per trait, how alike two values are, as a small ordinal level.

A comparator is a pure function of two trait values; it answers a level of its trait, ``missing`` when either side is
silent. :func:`compare` runs every comparator over a column of candidates and answers a matrix of level numbers.
Each distinct value of a column is compared once, so a household of ten costs little more than one person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA, JaroWinkler

from mpi.matching.names import are_nicknames
from mpi.matching.phonetics import phonetic_code
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.matching.tables import census_frequencies

MISSING = "missing"

FullName = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]

_SIMILAR, _CLOSE, _LOOSE = 0.94, 0.88, 0.78
_NAMES_IN_USE = frozenset(census_frequencies()["given"])
_EDITS_NEED_LENGTH = 4  # one edit in a shorter name changes the name


def _similarity_level(left: str, right: str) -> str | None:
    """Level of two unequal names by Jaro–Winkler and by one edit; None when they are different names."""
    score = JaroWinkler.similarity(left, right)
    short = min(len(left), len(right))
    if score >= _SIMILAR or (short >= _EDITS_NEED_LENGTH and OSA.distance(left, right) == 1):
        return "similar"
    if score >= _CLOSE or (
        short >= _EDITS_NEED_LENGTH and phonetic_code(left) == phonetic_code(right)
    ):
        return "close"
    return "loose" if score >= _LOOSE else None


def _names(record: StandardRecord) -> FullName:
    return record.given, record.middle, record.family


def _crossed(left: FullName, right: FullName) -> bool:
    """Given and family name exchanged on one side, each recognisable, one of them perhaps misspelt."""
    (left_given, _, left_family), (right_given, _, right_family) = left, right
    there = _recognisable(left_given, right_family)
    back = _recognisable(left_family, right_given) if there else None
    return back is not None and "exact" in (there, back)


def _recognisable(names: tuple[str, ...], others: tuple[str, ...]) -> str | None:
    """Whether two sets of names share one, exactly or but for its spelling."""
    if not set(names).isdisjoint(others):
        return "exact"
    near = any(
        JaroWinkler.similarity(a, b, score_cutoff=_CLOSE) for a in names[:2] for b in others[:2]
    )
    return "close" if near else None


def compare_given(left: FullName, right: FullName) -> str:
    """Given names: whole, nickname, shared token, initial, spelling, taken from the middle, swapped."""
    one, other = left[0], right[0]
    if not one or not other:
        return MISSING
    first, second = one[0], other[0]
    if first == second or "".join(one) == "".join(other):
        return "exact"
    return _short_form(first, second, one, other) or _spelling_or_place(first, second, left, right)


def _short_form(
    first: str, second: str, one: tuple[str, ...], other: tuple[str, ...]
) -> str | None:
    if are_nicknames(first, second):
        return "nickname"
    if set(one) & set(other):
        return "token"
    if first[0] == second[0] and (len(first) == 1 or len(second) == 1):
        return "initial"
    if min(len(first), len(second)) >= 3 and (first.startswith(second) or second.startswith(first)):
        return "prefix"
    return None


def _spelling_or_place(first: str, second: str, left: FullName, right: FullName) -> str:
    spelling = _similarity_level(first, second)
    if spelling in ("similar", "close"):
        # MARK and MARY are one edit apart and two people; MARK and MARKK are one.
        return "alike" if first in _NAMES_IN_USE and second in _NAMES_IN_USE else spelling
    if _crossed(left, right):
        return "swapped"
    if first in right[1] or second in left[1]:
        return "middle"
    return spelling or "different"


def compare_family(left: FullName, right: FullName) -> str:
    """Surnames, order-free: current, maiden and hyphenated parts all count."""
    one, other = left[2], right[2]
    if not one or not other:
        return MISSING
    if one[0] == other[0] or "".join(one) == "".join(other):
        return "exact"
    if set(one) & set(other):
        return "token"
    if _crossed(left, right):
        return "swapped"
    levels = {_similarity_level(a, b) for a in one[:3] for b in other[:3]}
    for level in ("similar", "close", "loose"):
        if level in levels:
            return level
    return "different"


def compare_middle(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """Middle names or initials; ``JOHN Q`` against ``JOHN QUINCY`` agrees on the initial."""
    if not left or not right:
        return MISSING
    first, second = left[0], right[0]
    if first == second:
        return "exact" if len(first) > 1 else "initial"
    if first[0] == second[0] and (len(first) == 1 or len(second) == 1):
        return "initial"
    if set(left) & set(right) or JaroWinkler.similarity(first, second) >= _CLOSE:
        return "similar"
    return "different"


def compare_suffix(left: str, right: str) -> str:
    """Generational suffixes. They are often left out, so one silent side says little."""
    if left and right:
        return "same" if left == right else "conflict"
    return "one_silent" if left or right else MISSING


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
        return "january_first" if one.endswith("-01-01") else "exact"
    return _unequal_dates(one, other)


def _unequal_dates(one: str, other: str) -> str:
    if one[:4] == other[:4]:
        if one[5:7] == other[8:] and one[8:] == other[5:7]:
            return "day_month_swapped"
        if one.endswith("-01-01") or other.endswith("-01-01"):
            return "year_only"
    distance = OSA.distance(one, other)
    if distance == 1:
        return "one_edit"
    same_parts = (one[:4] == other[:4]) + (one[5:7] == other[5:7]) + (one[8:] == other[8:])
    if same_parts == 2:
        return "two_parts"
    return "two_edits" if distance == 2 else "different"


def _digits(text: str) -> str:
    return text.replace("-", "")


def compare_sex(left: str, right: str) -> str:
    """Administrative sex; ``X`` is compatible with everything."""
    if not left or not right or "X" in (left, right):
        return MISSING
    return "same" if left == right else "different"


def compare_ssn(left: tuple[str, str], right: tuple[str, str]) -> str:
    """Social Security numbers as (nine digits, last four). Numbers issued in a row point at twins."""
    if left[0] and right[0]:
        if left[0] == right[0]:
            return "exact"
        if abs(int(left[0]) - int(right[0])) <= 3:
            return "consecutive"
        distance = OSA.distance(left[0], right[0])
        return "one_edit" if distance == 1 else "two_edits" if distance == 2 else "different"
    if not left[1] or not right[1]:
        return MISSING
    return "last_four" if left[1] == right[1] else "last_four_differ"


def compare_national_id(left: str, right: str) -> str:
    """Opaque national numbers: exact, one edit, two edits. Numbers issued in a row point at twins."""
    if not left or not right:
        return MISSING
    if left == right:
        return "exact"
    distance = OSA.distance(left, right, score_cutoff=2)
    if distance == 1 and len(left) == len(right) and left[:-1] == right[:-1]:
        return "consecutive"
    return {1: "one_edit", 2: "two_edits"}.get(distance, "different")


_ADDRESS_ORDER = ("exact", "other_unit", "street_spelling", "house_spelling", "street", "different")


def compare_address(left: tuple[StandardAddress, ...], right: tuple[StandardAddress, ...]) -> str:
    """The best agreement between any two street addresses (house, street, unit)."""
    best = len(_ADDRESS_ORDER)
    for one in left:
        for other in right:
            if one.core and other.core:
                best = min(best, _ADDRESS_ORDER.index(_street_level(one, other)))
    return _ADDRESS_ORDER[best] if best < len(_ADDRESS_ORDER) else MISSING


def _street_level(one: StandardAddress, other: StandardAddress) -> str:
    if one.core == other.core:
        if one.house == other.house:
            return "other_unit" if one.unit and other.unit and one.unit != other.unit else "exact"
        if one.house and other.house and OSA.distance(one.house, other.house) == 1:
            return "house_spelling"
        return "street"
    if (
        one.house
        and one.house == other.house
        and JaroWinkler.similarity(one.core, other.core) >= _CLOSE
    ):
        return "street_spelling"
    return "different"


_LOCALITY_ORDER = ("zip", "zip_spelling", "city", "state", "different")


def compare_locality(left: tuple[StandardAddress, ...], right: tuple[StandardAddress, ...]) -> str:
    """The best agreement between any two places (postcode, city, state)."""
    best = len(_LOCALITY_ORDER)
    for one in left:
        for other in right:
            best = min(best, _locality_rank(one, other))
    return _LOCALITY_ORDER[best] if best < len(_LOCALITY_ORDER) else MISSING


def _locality_rank(one: StandardAddress, other: StandardAddress) -> int:
    if one.zip and one.zip == other.zip:
        return 0
    same_city = bool(one.city) and one.city == other.city
    if one.zip and other.zip:
        if OSA.distance(one.zip, other.zip) == 1:
            return 1
    elif not (one.city and other.city):
        return len(_LOCALITY_ORDER)
    if same_city and one.state == other.state:
        return 2
    return 3 if one.state and one.state == other.state else 4


def compare_phone(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """Any telephone number in common, or one edit apart."""
    if not left or not right:
        return MISSING
    if set(left) & set(right):
        return "exact"
    near = any(OSA.distance(a, b) == 1 for a in left for b in right)
    return "one_edit" if near else "different"


def compare_email(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """Any e-mail address in common, the same mailbox elsewhere, or a spelling apart."""
    if not left or not right:
        return MISSING
    if set(left) & set(right):
        return "exact"
    pairs = [(a, b) for a in left for b in right]
    if any(a.partition("@")[0] == b.partition("@")[0] for a, b in pairs):
        return "mailbox"
    return "similar" if any(OSA.distance(a, b) <= 2 for a, b in pairs) else "different"


def compare_identifiers(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """Numbers by kind and assigning system; a second number of one system is a weak sign of two people."""
    if not left or not right:
        return MISSING
    if set(left) & set(right):
        return "exact"
    systems = {text.rpartition("|")[0] for text in left}
    return "conflict" if systems & {text.rpartition("|")[0] for text in right} else MISSING


def compare_birth_order(left: tuple[str, str], right: tuple[str, str]) -> str:
    """Birth order and multiple-birth flag: the facts that tell twins apart."""
    if left[0] and right[0]:
        return "same" if left[0] == right[0] else "conflict"
    if left[1] and right[1]:
        return MISSING if left[1] == right[1] else "flag_differs"
    return MISSING


def compare_mothers_maiden(left: str, right: str) -> str:
    """Mother's maiden name."""
    if not left or not right:
        return MISSING
    if left == right:
        return "exact"
    return "similar" if JaroWinkler.similarity(left, right) >= _CLOSE else "different"


def compare_deceased(left: str, right: str) -> str:
    """Date of death."""
    if not left or not right:
        return MISSING
    return "same" if left == right else "different"


@dataclass(frozen=True, slots=True)
class Trait:
    """What is compared, and the levels its comparator can answer (``missing`` is level 0)."""

    name: str
    value: Callable[[StandardRecord], Any]
    comparator: Callable[[Any, Any], str]
    levels: tuple[str, ...]


_SPELLING = ("similar", "close", "loose", "different")

TRAITS: tuple[Trait, ...] = (
    Trait("given", _names, compare_given,
          (MISSING, "exact", "nickname", "token", "initial", "prefix", "swapped", "middle", "alike",
           *_SPELLING)),
    Trait("middle", attrgetter("middle"), compare_middle,
          (MISSING, "exact", "initial", "similar", "different")),
    Trait("family", _names, compare_family, (MISSING, "exact", "token", "swapped", *_SPELLING)),
    Trait("suffix", attrgetter("suffix"), compare_suffix,
          (MISSING, "same", "one_silent", "conflict")),
    Trait("dob", attrgetter("dob", "dob_damaged"), compare_dob,
          (MISSING, "exact", "january_first", "day_month_swapped", "one_edit", "two_parts", "partial",
           "damaged", "year_only", "two_edits", "different")),
    Trait("sex", attrgetter("sex"), compare_sex, (MISSING, "same", "different")),
    Trait("ssn", attrgetter("ssn", "ssn_last4"), compare_ssn,
          (MISSING, "exact", "last_four", "one_edit", "consecutive", "two_edits", "last_four_differ",
           "different")),
    Trait("national_id", attrgetter("national_id"), compare_national_id,
          (MISSING, "exact", "one_edit", "consecutive", "two_edits", "different")),
    Trait("address", attrgetter("addresses"), compare_address, (MISSING, *_ADDRESS_ORDER)),
    Trait("locality", attrgetter("addresses"), compare_locality, (MISSING, *_LOCALITY_ORDER)),
    Trait("phone", attrgetter("phones"), compare_phone, (MISSING, "exact", "one_edit", "different")),
    Trait("email", attrgetter("emails"), compare_email,
          (MISSING, "exact", "mailbox", "similar", "different")),
    Trait("identifier", attrgetter("identifiers"), compare_identifiers,
          (MISSING, "exact", "conflict")),
    Trait("birth_order", attrgetter("birth_order", "multiple_birth"), compare_birth_order,
          (MISSING, "same", "flag_differs", "conflict")),
    Trait("mothers_maiden_name", attrgetter("mothers_maiden"), compare_mothers_maiden,
          (MISSING, "exact", "similar", "different")),
    Trait("deceased", attrgetter("deceased"), compare_deceased, (MISSING, "same", "different")),
)  # fmt: skip
TRAIT_INDEX = {trait.name: number for number, trait in enumerate(TRAITS)}
_LEVEL_NUMBERS = [{level: number for number, level in enumerate(t.levels)} for t in TRAITS]


def level_number(trait: str, level: str) -> int:
    """The number of a level within its trait, as it stands in the matrix of :func:`compare`."""
    return _LEVEL_NUMBERS[TRAIT_INDEX[trait]][level]


def compare(record: StandardRecord, others: Sequence[StandardRecord]) -> NDArray[np.int8]:
    """The comparison vectors of ``record`` with each of ``others``: shape (len(others), len(TRAITS))."""
    matrix = np.zeros((len(others), len(TRAITS)), dtype=np.int8)
    for column, (trait, numbers) in enumerate(zip(TRAITS, _LEVEL_NUMBERS, strict=True)):
        mine = trait.value(record)
        seen: dict[Any, int] = {}
        for row, value in enumerate(map(trait.value, others)):
            level = seen.get(value)
            if level is None:
                level = seen[value] = numbers[trait.comparator(mine, value)]
            matrix[row, column] = level
    return matrix


def distinct_traits(left: StandardRecord, right: StandardRecord) -> frozenset[str]:
    """Names of the traits on which two records plainly differ (level ``different``)."""
    (vector,) = compare(left, [right])
    return frozenset(
        t.name for t, n in zip(TRAITS, vector, strict=True) if t.levels[n] == "different"
    )
