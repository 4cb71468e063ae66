"""Comparators of names: how alike given, middle and family names are, as a small ordinal level. Pure.

Each is handed the whole names: desks decide as they like which word is the middle name, and exchange the others.
"""

from __future__ import annotations

from itertools import groupby

from rapidfuzz.distance import OSA, JaroWinkler

from mpi.matching.comparators import CLOSE, MISSING
from mpi.matching.names import are_nicknames
from mpi.matching.phonetics import phonetic_code
from mpi.matching.romanization import Readings, readings
from mpi.matching.tables import census_frequencies

FullName = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
"""Given, middle and family names: which of two words is the middle name, registration desks decide as they like."""

LOOSE = 0.78
"""The least Jaro–Winkler similarity of names that are at all like each other."""
_SIMILAR = 0.94
_NAMES_IN_USE = frozenset(census_frequencies()["given"])
_EDITS_NEED_LENGTH = 4  # one edit in a shorter name changes the name
_PREFIX = 3
_SHORTEST_JOINED = 5  # letters; one edit in two joined words of no more changes one of them
_NO_READINGS: Readings = frozenset()
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
    """Given and family name exchanged on one side, each recognisable, one of them perhaps misspelt or in one word."""
    if not (left[0] and left[2] and right[0] and right[2]):
        return False
    left_given, right_given = written_given(left), written_given(right)
    left_family, right_family = written_family(left), written_family(right)
    if set(left_given).isdisjoint(right_family) and set(left_family).isdisjoint(right_given):
        return False
    there = _recognisable(left_given, right_family)
    back = _recognisable(left_family, right_given) if there else None
    return back is not None and "exact" in (there, back)


def written_given(name: FullName) -> tuple[str, ...]:
    """The given names, and all in one word: HYUN, WOO and HYUNWOO."""
    given, middle, _ = name
    whole = given if len(given) < 2 else (*given, "".join(given))
    if not middle or len(middle[0]) < 2:
        return whole
    return (*whole, "".join((*given, *middle)))


def written_family(name: FullName) -> tuple[str, ...]:
    """The family names, and all in one word."""
    family = name[2]
    return family if len(family) < 2 else (*family, "".join(family))


def in_one_word(name: FullName) -> tuple[str, ...]:
    """Ways to write several given and middle names as one word, in either order; none with an initial among them."""
    given, middle, _ = name
    names = (*given, *middle)
    if len(names) < 2 or min(map(len, names)) < 2:
        return ()
    return "".join(names), "".join((*middle, *given) if middle else reversed(given))


def syllables_of(name: FullName) -> Readings:
    """What Korean or Chinese syllables a given name may consist of; with the middle name, as they are often parted."""
    given, middle, _ = name
    found = _syllables("".join(given))
    return found | _syllables("".join((*given, *middle))) if middle else found


def _syllables(name: str) -> Readings:
    return _NO_READINGS if name in _NAMES_IN_USE else readings(name)


def _recognisable(names: tuple[str, ...], others: tuple[str, ...]) -> str | None:
    """Whether two sets of names share one, exactly or but for its spelling."""
    if not set(names).isdisjoint(others):
        return "exact"
    near = any(
        JaroWinkler.similarity(a, b, score_cutoff=CLOSE) for a in names[:3] for b in others[:3]
    )
    return "close" if near else None


def _joined_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """``VAN DORN`` and ``VANDORN``."""
    return (len(one) > 1 or len(other) > 1) and "".join(one) == "".join(other)


def _joined_nicknames(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """``ABD AL RAHMAN`` and ``ABDELRAHMAN``."""
    return (len(one) > 1 or len(other) > 1) and are_nicknames("".join(one), "".join(other))


def _share_one(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Names whose first words differ have another word in common."""
    return (len(one) > 1 or len(other) > 1) and not set(one).isdisjoint(other)


def compare_given(left: FullName, right: FullName) -> str:
    """Given names: whole, nickname, shared token, initial, spelling, taken from the middle, swapped."""
    one, other = left[0], right[0]
    if not one or not other:
        return "swapped" if _is_only_name(left, right) or _is_only_name(right, left) else MISSING
    first, second = one[0], other[0]
    if first == second or _joined_alike(one, other):
        return "exact"
    if _is_all_of(left, right) or _is_all_of(right, left):
        return "exact"
    return _short_form(first, second, left, right) or _spelling_or_place(first, second, left, right)


def _is_only_name(lone: FullName, twice: FullName) -> bool:
    """FNU SARASWATI, who has one name, is SARASWATI SARASWATI elsewhere.

    A lone family name alone is none: that of twins without given names is their family's.
    """
    return (
        not lone[0]
        and not set(lone[2]).isdisjoint(twice[0])
        and not set(lone[2]).isdisjoint(twice[2])
    )


def _is_all_of(single: FullName, several: FullName) -> bool:
    """HYEJOON is HYE with the middle name JOON, and XANGKOU is KOU with the middle name XANG."""
    return len(single[0]) == 1 and not single[1] and single[0][0] in in_one_word(several)


def _short_form(first: str, second: str, left: FullName, right: FullName) -> str | None:
    one, other = left[0], right[0]
    if are_nicknames(first, second) or _joined_nicknames(one, other):
        return "nickname"
    if _share_one(one, other):
        return "token"
    if _misspelt_together(one, other) or _of_one_reading(left, right):
        return "similar"
    return _beginning(first, second) if first[0] == second[0] else None


def _of_one_reading(left: FullName, right: FullName) -> bool:
    """HYUN WOO and HYEONU. Most names have no reading at all, which one side tells."""
    mine = syllables_of(left)
    return bool(mine) and not mine.isdisjoint(syllables_of(right))


def _beginning(first: str, second: str) -> str | None:
    """What a name is to one that begins with the same letter, if it is all that is told of it."""
    short = min(len(first), len(second))
    if short == 1:
        return "initial"
    if short < _PREFIX or first[:short] != second[:short]:
        return None
    return "alike" if _are_two_names(first, second) else "prefix"


def _misspelt_together(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """LI MIE and LIMEI: one edit, where one side alone has several words; VIRGINIA and VIRGINA may be twins."""
    if (len(one) > 1) == (len(other) > 1):
        return False
    a, b = "".join(one), "".join(other)
    return len(a) > _SHORTEST_JOINED < len(b) and OSA.distance(a, b, score_cutoff=1) == 1


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
    if _is_middle(left, right) or _is_middle(right, left):
        return "middle"
    if spelling:  # KAY and KXY are one name more often than ANTHONY and ANTONIO
        return "misspelt" if is_familiar(first) != is_familiar(second) else spelling
    return compare_familiar(is_familiar(first), is_familiar(second))


def _is_middle(own: FullName, their: FullName) -> bool:
    """DANIEL M. and MICHAEL DANIEL are one, who goes by the middle name; ANNA MARIA and MARIA ROSA are two."""
    given, middle, _ = own
    if given[0] not in their[1] and (len(given) < 2 or "".join(given) not in their[1]):
        return False
    return not middle or any(name[0] == their[0][0][0] for name in middle)


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
        # SARASWATI LNU and FNU SARASWATI: the one name of a person, in either field.
        lone = not (one and left[0]) and not (other and right[0])
        crossed = set(left[0]) & set(other) or set(right[0]) & set(one)
        return "swapped" if lone and crossed else MISSING
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


def compare_middle(left: FullName, right: FullName) -> str:
    """What follows the first given name; ``JOHN Q`` against ``JOHN QUINCY`` agrees on the initial.

    A further given name may be another one that the patient goes by: it agrees with a middle name or is silent.
    """
    one, other = further_names(left), further_names(right)
    if not one or not other:
        return MISSING
    first, second = one[0], other[0]
    if first == second:
        return "exact" if len(first) > 1 else "initial"
    if first[0] == second[0] and (len(first) == 1 or len(second) == 1):
        return "initial"
    if not set(one).isdisjoint(other) or _one_middle_name(first, second):
        return "similar"
    if _told_elsewhere(left, one, right) or _told_elsewhere(right, other, left):
        return MISSING
    return compare_apart(describe_further(left), describe_further(right))


def further_names(name: FullName) -> tuple[str, ...]:
    """The given names behind the first, and the middle names."""
    return (*name[0][1:], *name[1])


def _one_middle_name(first: str, second: str) -> bool:
    """Two spellings, a nickname and its name, or one sound: LYNN and LIN, but JEAN and JUAN are two names."""
    if JaroWinkler.similarity(first, second, score_cutoff=CLOSE) or are_nicknames(first, second):
        return True
    sounds_alike = len(first) > 1 < len(second) and phonetic_code(first) == phonetic_code(second)
    return sounds_alike and not _are_two_names(first, second)


def _told_elsewhere(own: FullName, further: tuple[str, ...], their: FullName) -> bool:
    """Whether a middle name is another part of the other name, and compared there already.

    ANN MARIE and MARIE ROSE; EDUARDO RUIZ PEREZ and EDUARDO MANUEL PEREZ RUIZ, whose mother was a Ruiz; AMY YOUNGJAE
    and YOUNG JAE. A word that is in both family names moved nowhere: MOHAMMED ALI ALI is his brother HASSAN's.
    """
    if not set(further).isdisjoint(their[0][:1]):
        return True
    if any(word in their[2] and word not in own[2] for word in own[1]):
        return True
    return bool(further_names(their)) and "".join((*their[0], *their[1])) in further


Further = tuple[bool, bool, bool]


def describe_further(name: FullName) -> Further:
    """Whether there are further names, whether one is told as a middle name, and the first is more than an initial."""
    further = further_names(name)
    return bool(further), bool(name[1]), bool(further) and len(further[0]) > 1


def compare_apart(left: Further, right: Further) -> str:
    """Further names that have nothing in common.

    Be one of them a surname, too: it may be the mother's, but brothers and strangers have such middle names as well.
    """
    if not left[0] or not right[0] or left[1] != right[1]:
        return MISSING
    return "different" if left[2] and right[2] else "other_initial"
