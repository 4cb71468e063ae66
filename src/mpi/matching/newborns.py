"""What the temporary name of a newborn tells besides that there is no name yet: which child of the birth, which sex."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from mpi.matching.folding import words
from mpi.matching.numbers import read_birth_order, read_sex
from mpi.matching.placeholders import BIRTH_ORDERS, Placeholders, without_titles

# BABYBOY, WENDYSGIRL (Joint Commission NPSG 01.01.01); FEMALE before MALE, which it ends with.
_ENDINGS = ("BOY", "GIRL", "FEMALE", "MALE")
# How else the children of one birth are counted within a name: read_birth_order knows none of these.
_COUNTED = {"I": "1", "II": "2", "III": "3", "IV": "4", "ONE": "1", "TWO": "2", "THREE": "3"}
_SEVERAL = frozenset(("TWIN", "TRIPLET", "QUADRUPLET"))

# BB MARIA, B/G A, BG1: a labor ward's short forms. B.B. and B. G. are the initials of somebody who has a name.
_BABY = re.compile(r"\s*(?:B\s?/\s?([BGO])|B([BG]))([A-D1-4]?)(?![\w.])", re.IGNORECASE)
_BABIES = {"B": "BABY BOY", "G": "BABY GIRL", "O": "BABY OF"}
# NBF A, N/B MALE. NB alone is listed, NB B is the second child, NB KUMAR a name.
_NEWBORN = re.compile(
    r"\s*N/?B(?:[\s/-]*(MALE|FEMALE|BOY|GIRL|[MFG])|(B))([A-D1-4]?)(?![\w.])", re.IGNORECASE
)
_NEWBORNS = {"M": "MALE", "F": "FEMALE", "B": "BOY", "G": "GIRL"}
# In capitals BOYA may be a name.
_BOY = re.compile(r"\bBoy([A-D])\b")


class Newborn(NamedTuple):
    """Empty where the name is silent. ``multiple_birth`` is Y for a TWIN."""

    birth_order: str = ""
    sex: str = ""
    multiple_birth: str = ""


NOT_A_NEWBORN = Newborn()


def spell_out(text: str) -> str:
    """A given name whose short form of a newborn is told in words: ``BG Faiza A`` is BABY GIRL Faiza A."""
    for short, spelled in _SHORT_FORMS.items():
        if found := short.match(text):
            letters = (found[1] or found[2]).upper()
            return f"{spelled(letters)} {found[3]} {text[found.end():]}"
    return _BOY.sub(r"Boy \1", text)


_SHORT_FORMS: dict[re.Pattern[str], Callable[[str], str]] = {
    _BABY: _BABIES.__getitem__,
    _NEWBORN: lambda sex: f"NEWBORN {_NEWBORNS.get(sex, sex)}",
}


def goes_on(written: tuple[str, ...], middle: str, placeholders: Placeholders) -> bool:
    """Whether a middle name is more of a temporary name: ``Baby`` and ``Boy A``. There is none before a first name.

    ``written`` are the words of the given name.
    """
    own = without_titles(written)
    return placeholders.is_temporary(own) and placeholders.is_name("given", (*own, *words(middle)))


def read_newborn(written: tuple[str, ...], placeholders: Placeholders) -> Newborn:
    """``BABY BOY A`` is the first child and a boy. ``written`` are the words of a given name."""
    if not written or not placeholders.is_name("given", written):
        return NOT_A_NEWBORN
    own = without_titles(written)
    stems = [placeholders.part_order(word) for word in own]
    several = "Y" if any(stem in _SEVERAL for stem, _ in stems) else ""
    return Newborn(_birth_order(own, placeholders), _sex(own, placeholders), several)


def _birth_order(written: tuple[str, ...], placeholders: Placeholders) -> str:
    """``BABY GIRL B``, ``BABY B GIRL``, ``BABYGIRLB`` and ``2 WENDYSGIRL`` are second; so is, last of all,
    ``BABY GIRL MARIA B``.
    """
    for word in written:
        _, order = placeholders.part_order(word)
        if order:
            return read_birth_order(order) or ""
    for before, word in pairwise(written):
        # After the name of a mother the letter may be her middle initial.
        order = _COUNTED.get(word, word)
        if order in BIRTH_ORDERS and placeholders.is_name("given", (before,)):
            return read_birth_order(order) or ""
    if len(written) == 1:
        return ""
    if written[-1] in BIRTH_ORDERS or placeholders.is_name("given", written[:-1]):
        return read_birth_order(_COUNTED.get(written[-1], written[-1])) or ""
    return read_birth_order(written[0]) or "" if written[0].isdigit() else ""


def _sex(written: tuple[str, ...], placeholders: Placeholders) -> str:
    """Of the words that stand for a name alone: ``BABY LABOY`` is the child of a mother called so."""
    stems = (placeholders.part_order(word)[0] for word in written)
    said = (stem for stem in stems if placeholders.is_name("given", (stem,)))
    endings = (end for stem in said for end in _ENDINGS if stem.endswith(end))
    return read_sex(next(endings, "")) or ""
