"""What the temporary name of a newborn tells besides that there is no name yet: which child of the birth, which sex."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from mpi.matching.numbers import read_birth_order, read_sex
from mpi.matching.placeholders import BIRTH_ORDERS, Placeholders

# BABYBOY, WENDYSGIRL (Joint Commission NPSG 01.01.01); FEMALE before MALE, which it ends with.
_ENDINGS = ("BOY", "GIRL", "FEMALE", "MALE")
# How the children of one birth are counted within a name: read_birth_order knows I as no number.
_ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4"}


class Newborn(NamedTuple):
    """Empty where the name is silent."""

    birth_order: str = ""
    sex: str = ""


NOT_A_NEWBORN = Newborn()


def read_newborn(written: tuple[str, ...], placeholders: Placeholders) -> Newborn:
    """``BABY BOY A`` is the first child and a boy. ``written`` are the words of a given name."""
    if not written or not placeholders.is_name("given", written):
        return NOT_A_NEWBORN
    return Newborn(_birth_order(written, placeholders), _sex(written, placeholders))


def _birth_order(written: tuple[str, ...], placeholders: Placeholders) -> str:
    """``BABY GIRL B``, ``BABY B GIRL`` and ``BABYGIRLB`` are second; so is, last of all, ``BABY GIRL MARIA B``."""
    for word in written:
        stem = placeholders.without_order(word)
        if stem != word:
            return read_birth_order(word[-1]) or ""
    for before, word in pairwise(written):
        # After the name of a mother the letter may be her middle initial.
        order = _ROMAN.get(word, word)
        if order in BIRTH_ORDERS and placeholders.is_name("given", (before,)):
            return read_birth_order(order) or ""
    if len(written) > 1 and placeholders.is_name("given", written[:-1]):
        return read_birth_order(written[-1]) or ""
    return ""


def _sex(written: tuple[str, ...], placeholders: Placeholders) -> str:
    """Of the words that stand for a name alone: ``BABY LABOY`` is the child of a mother called so."""
    stems = map(placeholders.without_order, written)
    said = (stem for stem in stems if placeholders.is_name("given", (stem,)))
    endings = (end for stem in said for end in _ENDINGS if stem.endswith(end))
    return read_sex(next(endings, "")) or ""
