"""Facts that forbid an automatic link whatever the weight says.

A record meets all records of a person at once. What would forbid it beside either of two, forbids it beside both: a
rule asks for the worst that was seen together with *nothing better than* the least that still forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpi.matching.comparison import TRAIT_INDEX, level_number
from mpi.matching.model import WIDEST, Matrix

UNPROVEN = "nothing_personal_agrees"
"""The one veto that is no contradiction, told where there is none: what agrees may be a family's, or that of
two people of one town."""

TWIN_PATTERN = "twin_pattern"
ONE_OF_SEVERAL = "one_of_several"

_Seen = Sequence[int]
"""For each trait the levels that were seen between a record and the records of one person: a bit for each level."""

_Wanted = tuple[int, int]
"""The place of a trait, and bits of its levels."""

_SILENT = 1  # the bit of level 0: not compared
_BITS = 1 << np.arange(WIDEST)


def _levels(trait: str, *names: str) -> _Wanted:
    return TRAIT_INDEX[trait], sum(1 << level_number(trait, name) for name in names)


def _either(one: _Wanted, other: _Wanted) -> _Wanted:
    return one[0], one[1] | other[1]


_CONFLICTING_SUFFIX = _levels("suffix", "conflict")
_ANOTHER_CHILD = _levels("birth_order", "conflict")
_SAME_CHILD = _levels("birth_order", "same")
_WHICH_OF_SEVERAL = _levels("birth_order", "one_of_several")
_OTHER_SSN = _levels("ssn", "different", "last_four_differ")
_OTHER_WHOLE_SSN = _levels("ssn", "different")
_OTHER_NATIONAL_ID = _levels("national_id", "different")
_OTHER_DEATH = _levels("deceased", "different")
_OTHER_SEX = _levels("sex", "different")
_OTHER_MIDDLE = _levels("middle", "different")
_OTHER_INITIAL = _either(_OTHER_MIDDLE, _levels("middle", "other_initial"))
_SAME_MIDDLE = _levels("middle", "exact", "initial", "similar")
_EQUAL_GIVEN = _levels("given", "exact")
_VARIANT = _levels("given", "nickname")
_SAME_GIVEN = _levels("given", "exact", "nickname")
# From sure to unsure: JOHN beside MARY is another given name, as is XQZW, which nobody knows; MARIA beside MARIO is two
# names that are alike. J is half of a name, and so may be KXY beside KAY; STEFEN is just not quite STEPHEN.
_OTHER_GIVEN = _levels("given", "different", "loose", "unfamiliar")
_ONE_NAME_ALONE = _either(_OTHER_GIVEN, _levels("given", "swapped"))
_ALIKE = _levels("given", "alike")
_TWO_NAMES = _levels("given", "different", "loose", "alike")
_GIVEN_APART = _either(_OTHER_GIVEN, _ALIKE)
_HALF_TOLD = _levels("given", "initial", "misspelt")
_NOT_ONE_NAME = _either(_GIVEN_APART, _HALF_TOLD)
_NOT_QUITE = _either(_NOT_ONE_NAME, _levels("given", "close", "similar", "prefix"))
_OTHER_FAMILY = _levels("family", "different", "loose")
_EXCHANGED = _levels("family", "swapped")
_BORN_TOGETHER = _levels("dob", "exact", "january_first")
_ONE_BIRTHDAY = _levels("dob", "exact")
_OTHER_BIRTH = _levels("dob", "different", "generation", "two_edits", "year_only")
_OTHER_DECADE = _levels("dob", "decade")
_OTHER_DATE = _levels("dob", "different", "generation")
_OTHER_DATE_OR_DECADE = _either(_OTHER_DATE, _OTHER_DECADE)
_OTHER_BIRTH_OR_DECADE = _either(_OTHER_BIRTH, _OTHER_DECADE)
_OTHER_GENERATION = _levels("dob", "generation")
_NEARLY_OF_ONE_AGE = _levels("dob", "one_edit", "two_edits", "year_only")
_ANOTHER_BIRTHDAY = _either(_OTHER_BIRTH_OR_DECADE, _NEARLY_OF_ONE_AGE)
_GIVEN, _FAMILY = TRAIT_INDEX["given"], TRAIT_INDEX["family"]
_OWN_IDENTIFIER = _levels("identifier", "exact")
_OWN_NATIONAL_ID = _levels("national_id", "exact", "one_edit")
_SAME_SSN = _levels("ssn", "exact")
_LAST_FOUR = _levels("ssn", "last_four")
# A mistyped number is one edit away, that of a twin usually the next one: a level of its own.
_OF_ONE_PERSON = (
    _levels("ssn", "exact", "one_edit"),
    _OWN_NATIONAL_ID,
    _OWN_IDENTIFIER,
)
_A_NEWBORNS_OWN = (_OWN_NATIONAL_ID, _OWN_IDENTIFIER)
"""Without a given name an SSN may be the mother's, who is told for her newborn children."""
_ONE_STREET = _levels("address", "street")
_ONE_TOWN = _levels("locality", "zip", "zip_spelling")
_OTHER_TOWN = _levels("locality", "state", "different")
_ANOTHER_HOME = _levels("address", "different", "street")
_ONE_HOME = _levels("address", "exact", "other_unit", "street_spelling", "house_spelling")
_ONE_MAILBOX = _levels("email", "exact", "mailbox", "similar")
_AT_HOME = (
    _ONE_HOME,
    _levels("phone", "exact", "one_edit"),
    _ONE_MAILBOX,
)


def vetoes_between(levels: Matrix) -> tuple[str, ...]:
    """Stable codes of every veto between a record and the records of one person, from their comparison vectors."""
    seen = _seen(levels)
    found = tuple(code for code, contradicts in _CONTRADICTIONS.items() if contradicts(seen))
    return found or ((UNPROVEN,) if _unproven(seen) else ())


def another_middle_name(levels: Matrix) -> bool:
    """Whether a middle name, be it by its initial, tells two people apart who share neither a number nor a home."""
    seen = _seen(levels)
    return (
        _only(seen, _OTHER_INITIAL)
        and not _any(seen, *_OF_ONE_PERSON, *_AT_HOME)
        and not _one_street(seen)
    )


def two_names_in_use(levels: Matrix) -> bool:
    """Whether there are two given names that people have; the other may be none, misread beyond recognition."""
    return _any(_seen(levels), _TWO_NAMES)


def of_one_birth(levels: Matrix) -> bool:
    """Whether there is another child of that birthday and home."""
    seen = _seen(levels)
    return _twin_pattern(seen) and _any(seen, *_AT_HOME)


def of_one_day_and_home(levels: Matrix) -> bool:
    """Whether somebody was born that day in that home, under whatever name."""
    seen = _seen(levels)
    return _any(seen, _BORN_TOGETHER) and _any(seen, *_AT_HOME)


def goes_by_a_variant(levels: Matrix) -> bool:
    """Whether one name is a variant of the other at best, and no number of its own tells who it is."""
    seen = _seen(levels)
    variant = _only(seen, _VARIANT) and _any(seen, _BORN_TOGETHER)
    return variant and not _any(seen, *_A_NEWBORNS_OWN)


def may_be_a_twin_s(levels: Matrix) -> bool:
    """Whether a child without a name is any of those born that day: neither number nor order of birth tells which."""
    seen = _seen(levels)
    if seen[_GIVEN] != _SILENT or not _any(seen, _BORN_TOGETHER):
        return False
    return not _any(seen, *_A_NEWBORNS_OWN, _SAME_CHILD)


def may_be_twins(levels: Matrix) -> bool:
    """Whether two newborns without names are any of those born that day: each of two has a record of its own."""
    return may_be_a_twin_s(levels) and not _any(_seen(levels), *_OF_ONE_PERSON)


def _seen(levels: Matrix) -> _Seen:
    seen: list[int] = np.bitwise_or.reduce(_BITS.take(levels), axis=0).tolist()
    return seen


def _any(seen: _Seen, *wanted: _Wanted) -> bool:
    return any(seen[trait] & levels for trait, levels in wanted)


def _none_better(seen: _Seen, wanted: _Wanted) -> bool:
    """The trait agrees nowhere better than as wanted; perhaps it was not compared at all."""
    trait, levels = wanted
    return not seen[trait] & ~(levels | _SILENT)


def _only(seen: _Seen, wanted: _Wanted) -> bool:
    """The trait was compared somewhere, and agrees nowhere better than as wanted."""
    return seen[wanted[0]] != _SILENT and _none_better(seen, wanted)


def _told_which(seen: _Seen) -> bool:
    """Whether it is told which of several children it is.

    By a number of its own, or by another record of the person that has the name already: no two of one birth have one.
    """
    if _any(seen, *_A_NEWBORNS_OWN):
        return True
    return _any(seen, _EQUAL_GIVEN) and _any(seen, _BORN_TOGETHER)


def _another_ssn(seen: _Seen) -> bool:
    """Another number, and not told of one person beyond doubt.

    Four digits are mistyped sooner than two people of one home have one name and were born on one day. A whole other
    number may be that of a parent or spouse who is insured, which says little where name, birthday and home agree in
    more than one way: then nothing but an equal twin is left.
    """
    if not _only(seen, _OTHER_SSN) or _any(seen, _OWN_IDENTIFIER):
        return False
    if not (_any(seen, _EQUAL_GIVEN) and _any(seen, _ONE_BIRTHDAY) and _any(seen, *_AT_HOME)):
        return True
    if not _any(seen, _OTHER_WHOLE_SSN):
        return False
    homes = sum(_any(seen, home) for home in _AT_HOME)
    return (
        _none_better(seen, _OTHER_FAMILY)
        or _only(seen, _OTHER_INITIAL)
        or (homes == 1 and not _any(seen, _SAME_MIDDLE))
    )


def _another_national_id(seen: _Seen) -> bool:
    """Passports are renewed, and numbers of two kinds stand in one field: who lives at one place may have both."""
    if not _only(seen, _OTHER_NATIONAL_ID):
        return False
    return not _any(seen, _OWN_IDENTIFIER, _ONE_TOWN, *_AT_HOME)


def _twin_pattern(seen: _Seen) -> bool:
    """Born the same day under another given name, and no number says that it is one person.

    J. may be Joshua, and his twin Jacob as well; MADLYN was perhaps to be MARILYN. Last four digits may be those of
    both twins' mother, but beside what may be a slip of one name they are one's own, as is a middle name.
    """
    if not _any(seen, _BORN_TOGETHER) or _any(seen, *_OF_ONE_PERSON):
        return False
    if not _only(seen, _NOT_ONE_NAME):
        return False
    slip = _any(seen, _LAST_FOUR) or (_any(seen, _HALF_TOLD) and _any(seen, _SAME_MIDDLE))
    return not slip or _any(seen, _TWO_NAMES)


def _middle_names_differ(seen: _Seen) -> bool:
    """Brothers called MOHAMMED ALI and MOHAMMED HASSAN."""
    differ = _only(seen, _OTHER_INITIAL) and _any(seen, _OTHER_MIDDLE)
    return differ and not _any(seen, *_OF_ONE_PERSON)


def _birth_dates_differ(seen: _Seen) -> bool:
    """Namesakes, often parent and child: a digit of the decade is mistyped less often than it tells them apart.

    A birth date may be quite wrong where the number is one's own, but numbers stand on relatives' cards as well. Where
    the same home or mailbox is given, the weights know more, but not of a decade: father and son live in one home.
    """
    if _none_better(seen, _GIVEN_APART):
        return False
    owned = _any(seen, *_OF_ONE_PERSON)
    if not owned and _only(seen, _OTHER_DATE_OR_DECADE) and _any(seen, _OTHER_DECADE):
        return _any(seen, _SAME_GIVEN)
    if not owned:
        return _only(seen, _OTHER_DATE) and not _any(seen, _ONE_HOME, _ONE_MAILBOX)
    return _only(seen, _OTHER_GENERATION) and not _any(seen, _ONE_TOWN, *_AT_HOME)


def _another_sex_and_name(seen: _Seen) -> bool:
    """Sex and given name both disagree: spouses and siblings share everything else, twins a part of the name.

    Without a given name nothing tells a brother from a sister: BABY BOY and BABY GIRL.
    """
    if not _only(seen, _OTHER_SEX):
        return False
    if seen[_GIVEN] == _SILENT:
        return not _any(seen, *_A_NEWBORNS_OWN)
    if _only(seen, _NOT_ONE_NAME) and _any(seen, _OTHER_GIVEN):
        return True
    return _only(seen, _NOT_QUITE) and not _any(seen, *_OF_ONE_PERSON)


def _unproven(seen: _Seen) -> bool:
    return (
        _nothing_personal_agrees(seen)
        or _no_name_is_compared(seen)
        or _siblings(seen)
        or (not _any(seen, *_OF_ONE_PERSON, *_AT_HOME) and _rests_on_a_town(seen))
    )


def _one_street(seen: _Seen) -> bool:
    """A street of one name is another one in another town."""
    return _any(seen, _ONE_STREET) and not _only(seen, _OTHER_TOWN)


def _nothing_personal_agrees(seen: _Seen) -> bool:
    """Neither given name nor birth date agrees: what else agrees, a whole family shares – at times even the SSN."""
    if not _none_better(seen, _OTHER_GIVEN) or not _none_better(seen, _OTHER_BIRTH):
        return False
    if _any(seen, _OWN_IDENTIFIER, _OWN_NATIONAL_ID):
        return False
    return _only(seen, _OTHER_GIVEN) or _only(seen, _OTHER_BIRTH) or not _any(seen, _SAME_SSN)


def _no_name_is_compared(seen: _Seen) -> bool:
    """FNU LAKSHMI and SARASWATI LNU share a birthday and a telephone, as twins do; last digits would be her own."""
    silent = seen[_GIVEN] == seen[_FAMILY] == _SILENT
    return silent and not _any(seen, _LAST_FOUR, *_OF_ONE_PERSON)


def _siblings(seen: _Seen) -> bool:
    """Given names that are alike and both in use, and another birth date, be it by a digit."""
    return (
        _only(seen, _NOT_ONE_NAME)
        and _any(seen, _ALIKE)
        and not _any(seen, _BORN_TOGETHER, *_OF_ONE_PERSON)
    )


def _rests_on_a_town(seen: _Seen) -> bool:
    """For pairs that share no number, home, phone or e-mail: what is left may be common to two people of one town."""
    if _one_street(seen):
        return False
    # More people than ten thousand have a frequent name, and one of these has any four digits; among the immigrants of
    # one country hundreds have all three names, in homes of their own.
    if _none_better(seen, _OTHER_BIRTH_OR_DECADE) and _any(seen, _LAST_FOUR, _ANOTHER_HOME):
        return True
    if _any(seen, _LAST_FOUR, _SAME_MIDDLE):
        return False
    # Cousins of one name are born a year or a day apart, or in one year, as are strangers of a frequent one.
    if _only(seen, _ANOTHER_BIRTHDAY) and _any(seen, _NEARLY_OF_ONE_AGE):
        return True
    return _half_named(seen) or _only(seen, _OTHER_SEX) or _only(seen, _OTHER_INITIAL)


def _half_named(seen: _Seen) -> bool:
    """A name is missing or another: strangers of one town have the other name and the birth date in common.

    One name that is told in both fields is one: there is no other to be exchanged with it.
    """
    if _none_better(seen, _OTHER_GIVEN) or _none_better(seen, _OTHER_FAMILY):
        return True
    return _none_better(seen, _ONE_NAME_ALONE) and not _any(seen, _EXCHANGED)


_CONTRADICTIONS: dict[str, Callable[[_Seen], bool]] = {
    "suffix_conflict": lambda seen: _any(seen, _CONFLICTING_SUFFIX),
    "birth_order_conflict": lambda seen: _any(seen, _ANOTHER_CHILD),
    ONE_OF_SEVERAL: lambda seen: _any(seen, _WHICH_OF_SEVERAL) and not _told_which(seen),
    "ssn_conflict": _another_ssn,
    "national_id_conflict": _another_national_id,
    "death_dates_differ": lambda seen: _only(seen, _OTHER_DEATH),
    TWIN_PATTERN: _twin_pattern,
    "middle_names_differ": _middle_names_differ,
    "birth_dates_differ": _birth_dates_differ,
    "sex_and_given_differ": _another_sex_and_name,
}
