"""Comparators: how alike two values of a trait are, as a small ordinal level. Pure.

Each answers a level of its trait (:data:`mpi.matching.comparison.TRAITS`), ``missing`` when either side is silent.
"""

from __future__ import annotations

from itertools import groupby

from rapidfuzz.distance import OSA, JaroWinkler

from mpi.matching.names import are_nicknames
from mpi.matching.phonetics import phonetic_code
from mpi.matching.record import StandardAddress
from mpi.matching.tables import census_frequencies

MISSING = "missing"

FullName = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
Forenames = tuple[tuple[str, ...], tuple[str, ...]]
"""Given and middle names: which of two words is the middle name, registration desks decide as they like."""

CLOSE, LOOSE = 0.88, 0.78
"""The least Jaro–Winkler similarities of two spellings of a name, and of names at all like each other."""
_SIMILAR = 0.94
_NAMES_IN_USE = frozenset(census_frequencies()["given"])
_EDITS_NEED_LENGTH = 4  # one edit in a shorter name changes the name
_PREFIX = 3
SPELLINGS = ("similar", "close", "loose", "different")


def _similarity_level(left: str, right: str) -> str | None:
    """Level of two unequal names by Jaro–Winkler and by one edit; None when they are different names."""
    score = JaroWinkler.similarity(left, right)
    is_long = len(left) >= _EDITS_NEED_LENGTH <= len(right)
    if score >= _SIMILAR or (is_long and OSA.distance(left, right) == 1):
        return "similar"
    if score >= CLOSE or (is_long and phonetic_code(left) == phonetic_code(right)):
        return "close"
    return "loose" if score >= LOOSE else None


def _crossed(left: FullName, right: FullName) -> bool:
    """Given and family name exchanged on one side, each recognisable, one of them perhaps misspelt."""
    (left_given, _, left_family), (right_given, _, right_family) = left, right
    if not (left_given and left_family and right_given and right_family):
        return False
    if set(left_given).isdisjoint(right_family) and set(left_family).isdisjoint(right_given):
        return False
    there = _recognisable(left_given, right_family)
    back = _recognisable(left_family, right_given) if there else None
    return back is not None and "exact" in (there, back)


def _recognisable(names: tuple[str, ...], others: tuple[str, ...]) -> str | None:
    """Whether two sets of names share one, exactly or but for its spelling."""
    if not set(names).isdisjoint(others):
        return "exact"
    near = any(
        JaroWinkler.similarity(a, b, score_cutoff=CLOSE) for a in names[:2] for b in others[:2]
    )
    return "close" if near else None


def _joined_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """``VAN DORN`` and ``VANDORN``."""
    return (len(one) > 1 or len(other) > 1) and "".join(one) == "".join(other)


def _share_one(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Names whose first words differ have another word in common."""
    return (len(one) > 1 or len(other) > 1) and not set(one).isdisjoint(other)


def compare_given(left: FullName, right: FullName) -> str:
    """Given names: whole, nickname, shared token, initial, spelling, taken from the middle, swapped."""
    one, other = left[0], right[0]
    if not one or not other:
        return MISSING
    first, second = one[0], other[0]
    if first == second or _joined_alike(one, other):
        return "exact"
    return _short_form(first, second, one, other) or _spelling_or_place(first, second, left, right)


def _short_form(
    first: str, second: str, one: tuple[str, ...], other: tuple[str, ...]
) -> str | None:
    if are_nicknames(first, second):
        return "nickname"
    if _share_one(one, other):
        return "token"
    if first[0] != second[0]:
        return None
    short = min(len(first), len(second))
    if short == 1:
        return "initial"
    if short < _PREFIX or first[:short] != second[:short]:
        return None
    return "alike" if _are_two_names(first, second) else "prefix"


def _are_two_names(first: str, second: str) -> bool:
    """MARK and MARY are one edit apart and two people; MARK and MARKK are one, and so are SARAH and SARA."""
    in_use = first in _NAMES_IN_USE and second in _NAMES_IN_USE
    return in_use and _sounding(first) != _sounding(second)


def _sounding(name: str) -> str:
    """Without what spellings of one name differ by and nobody hears: H, and the second of two equal letters."""
    return "".join(letter for letter, _ in groupby(name.replace("H", "")))


def _spelling_or_place(first: str, second: str, left: FullName, right: FullName) -> str:
    spelling = _similarity_level(first, second)
    if spelling in ("similar", "close"):
        return "alike" if _are_two_names(first, second) else spelling
    if _crossed(left, right):
        return "swapped"
    if _is_middle(first, right[1], second, left[1]) or _is_middle(second, left[1], first, right[1]):
        return "middle"
    if spelling:  # KAY and KXY are one name more often than ANTHONY and ANTONIO
        return "misspelt" if is_familiar(first) != is_familiar(second) else spelling
    return compare_familiar(is_familiar(first), is_familiar(second))


def _is_middle(
    name: str, their_middle: tuple[str, ...], their_name: str, own_middle: tuple[str, ...]
) -> bool:
    """DANIEL M. and MICHAEL DANIEL are one, who goes by the middle name; ANNA MARIA and MARIA ROSA are two."""
    if name not in their_middle:
        return False
    return not own_middle or any(middle[0] == their_name[0] for middle in own_middle)


def is_familiar(name: str) -> bool:
    """Whether a word is known as a given name, or the initial of one."""
    return name in _NAMES_IN_USE or len(name) == 1


def compare_familiar(left: bool, right: bool) -> str:  # noqa: FBT001 -- of two given names
    """Given names that have nothing in common: two names in use are those of two people, as twins have them.

    A word that is no known name may be a slip, a surname or a remark; it may be a name from elsewhere as well.
    """
    return "different" if left and right else "unfamiliar"


def compare_family(left: FullName, right: FullName) -> str:
    """Surnames, order-free: current, maiden and hyphenated parts all count."""
    one, other = left[2], right[2]
    if not one or not other:
        return MISSING
    if one[0] == other[0] or _joined_alike(one, other):
        return "exact"
    if _share_one(one, other):
        return "token"
    if _crossed(left, right):
        return "swapped"
    if len(one) == len(other) == 1:
        return _similarity_level(one[0], other[0]) or "different"
    levels = {_similarity_level(a, b) for a in one[:3] for b in other[:3]}
    return next((level for level in SPELLINGS if level in levels), "different")


def compare_middle(left: Forenames, right: Forenames) -> str:
    """What follows the first given name; ``JOHN Q`` against ``JOHN QUINCY`` agrees on the initial.

    A further given name may be another one that the patient goes by: it agrees with a middle name or is silent.
    """
    one, other = (*left[0][1:], *left[1]), (*right[0][1:], *right[1])
    if not one or not other:
        return MISSING
    first, second = one[0], other[0]
    if first == second:
        return "exact" if len(first) > 1 else "initial"
    if first[0] == second[0] and (len(first) == 1 or len(second) == 1):
        return "initial"
    if set(one) & set(other) or JaroWinkler.similarity(first, second) >= CLOSE:
        return "similar"
    # ANN MARIE and MARIE ROSE: the word is compared as a given name already.
    crossed = not set(one).isdisjoint(right[0][:1]) or not set(other).isdisjoint(left[0][:1])
    if crossed or bool(left[1]) != bool(right[1]):
        return MISSING
    return "different" if len(first) > 1 and len(second) > 1 else "other_initial"


def compare_suffix(left: str, right: str) -> str:
    """Generational suffixes. They are often left out, so one silent side says little."""
    if left and right:
        return "same" if left == right else "conflict"
    return "one_silent" if left or right else MISSING


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


ADDRESS_LEVELS = ("exact", "other_unit", "street_spelling", "house_spelling", "street", "different")


def compare_address(left: tuple[StandardAddress, ...], right: tuple[StandardAddress, ...]) -> str:
    """The best agreement between any two street addresses (house, street, unit)."""
    best = len(ADDRESS_LEVELS)
    for one in left:
        for other in right:
            if one.core and other.core:
                best = min(best, ADDRESS_LEVELS.index(_street_level(one, other)))
    return ADDRESS_LEVELS[best] if best < len(ADDRESS_LEVELS) else MISSING


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
        and JaroWinkler.similarity(one.core, other.core) >= CLOSE
    ):
        return "street_spelling"
    return "different"


LOCALITY_LEVELS = ("zip", "zip_spelling", "city", "state", "different")


def compare_locality(left: tuple[StandardAddress, ...], right: tuple[StandardAddress, ...]) -> str:
    """The best agreement between any two places (postcode, city, state)."""
    best = len(LOCALITY_LEVELS)
    for one in left:
        for other in right:
            best = min(best, _locality_rank(one, other))
    return LOCALITY_LEVELS[best] if best < len(LOCALITY_LEVELS) else MISSING


def _locality_rank(one: StandardAddress, other: StandardAddress) -> int:
    if one.zip and one.zip == other.zip:
        return 0
    same_city = bool(one.city) and one.city == other.city
    if one.zip and other.zip:
        if OSA.distance(one.zip, other.zip) == 1:
            return 1
    elif not (one.city and other.city):
        return len(LOCALITY_LEVELS)
    if same_city and one.state == other.state:
        return 2
    return 3 if one.state and one.state == other.state else 4


def compare_phone(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """Any telephone number in common, or one edit apart."""
    if not left or not right:
        return MISSING
    if not set(left).isdisjoint(right):
        return "exact"
    for a in left:
        for b in right:
            if OSA.distance(a, b) == 1:
                return "one_edit"
    return "different"


def compare_email(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """Any e-mail address in common, the same mailbox elsewhere, or a spelling apart.

    A mailbox of letters alone is made of the name, as a namesake's is elsewhere: it says nothing more.
    """
    if not left or not right:
        return MISSING
    if set(left) & set(right):
        return "exact"
    boxes = {a.partition("@")[0] for a in left} & {b.partition("@")[0] for b in right}
    if any(sign.isdigit() for box in boxes for sign in box):
        return "mailbox"
    if any(OSA.distance(a, b) <= 2 for a in left for b in right):
        return "similar"
    return MISSING if boxes else "different"


def compare_identifiers(left: tuple[str, ...], right: tuple[str, ...]) -> str:
    """Numbers by kind and assigning system; a second number of one system is a weak sign of two people."""
    if not left or not right:
        return MISSING
    if set(left) & set(right):
        return "exact"
    return compare_systems(systems_of(left), systems_of(right))


def systems_of(identifiers: tuple[str, ...]) -> frozenset[str]:
    """The kinds and assigning systems of numbers."""
    return frozenset(text.rpartition("|")[0] for text in identifiers)


def compare_systems(left: frozenset[str], right: frozenset[str]) -> str:
    """Systems of numbers that are all different."""
    return "conflict" if left & right else MISSING


Birth = tuple[str, str, bool]


def compare_birth_order(left: Birth, right: Birth) -> str:
    """Birth order, multiple-birth flag, whether there is a given name: the facts that tell twins apart.

    Two who have no name yet and are said to have a twin may be the two.
    """
    if left[0] and right[0]:
        return "same" if left[0] == right[0] else "conflict"
    if _one_of_several(left, right) or _one_of_several(right, left):
        return "one_of_several"
    if left[1] == right[1] == "Y" and not left[2] and not right[2]:
        return "one_of_several"
    if left[1] and right[1]:
        return MISSING if left[1] == right[1] else "flag_differs"
    return MISSING


def _one_of_several(unnamed: Birth, named: Birth) -> bool:
    """BABY BOY A has a name now, and so has BABY BOY B: it is not told whose this one is."""
    return bool(unnamed[0] and not unnamed[2] and named[2])


def compare_mothers_maiden(left: str, right: str) -> str:
    """Mother's maiden name."""
    if not left or not right:
        return MISSING
    if left == right:
        return "exact"
    return "similar" if JaroWinkler.similarity(left, right) >= CLOSE else "different"


def compare_deceased(left: str, right: str) -> str:
    """Dates of death; one edit apart, or less exact, they may be one."""
    if not left or not right:
        return MISSING
    if left == right:
        return "same"
    short = min(len(left), len(right))
    near = left[:short] == right[:short] or OSA.distance(left, right) == 1
    return "near" if near else "different"
