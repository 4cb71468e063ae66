"""Comparators: how alike two values of a trait are, as a small ordinal level. Pure.

Each answers a level of its trait (:data:`mpi.matching.comparison.TRAITS`), ``missing`` when either side is silent.
Those of names stand in :mod:`mpi.matching.name_comparators`.
"""

from __future__ import annotations

from rapidfuzz.distance import OSA, JaroWinkler

from mpi.matching.names import are_nicknames
from mpi.matching.record import StandardAddress

MISSING = "missing"

CLOSE = 0.88
"""The least Jaro–Winkler similarity of two spellings of a name."""


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


Birth = tuple[str, str, tuple[str, ...]]


def compare_birth_order(left: Birth, right: Birth) -> str:
    """Birth order, multiple-birth flag and given names: the facts that tell twins apart.

    Who has no name yet is any child of that birth, and of several if either record says so. So is who goes by what may
    be short for the other name: parents call twins William and Liam.
    """
    if left[0] and right[0]:
        return "same" if left[0] == right[0] else "conflict"
    if (tells_of_several(*left[:2]) or tells_of_several(*right[:2])) and not _is_named_so(
        left[2], right[2]
    ):
        return "one_of_several"
    if left[1] and right[1]:
        return MISSING if left[1] == right[1] else "flag_differs"
    return MISSING


def _is_named_so(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Whether both have a name, and not one that is merely a variant of the other."""
    if not left or not right:
        return False
    return not set(left).isdisjoint(right) or not are_nicknames(left[0], right[0])


def tells_of_several(order: str, flag: str) -> bool:
    """Whether there are other children of that birth. Some systems write a 1 for every child that is born alone."""
    return flag == "Y" or (bool(order) and (flag != "N" or order != "1"))


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
