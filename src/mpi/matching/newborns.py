"""What the temporary name of a newborn tells besides that there is no name yet: which child of the birth, which sex."""

from __future__ import annotations

from typing import NamedTuple

from mpi.matching.numbers import read_birth_order, read_sex
from mpi.matching.placeholders import Placeholders

# BABYBOY, WENDYSGIRL (Joint Commission NPSG 01.01.01); FEMALE before MALE, which it ends with.
_ENDINGS = ("BOY", "GIRL", "FEMALE", "MALE")


class Newborn(NamedTuple):
    """Empty where the name is silent."""

    birth_order: str = ""
    sex: str = ""


NOT_A_NEWBORN = Newborn()


def read_newborn(written: tuple[str, ...], placeholders: Placeholders) -> Newborn:
    """``BABY BOY A`` is the first child and a boy. ``written`` are the words of a given name."""
    if not written or not placeholders.is_name("given", written):
        return NOT_A_NEWBORN
    order = ""
    if len(written) > 1 and placeholders.is_name("given", written[:-1]):
        order = read_birth_order(written[-1]) or ""
    endings = (end for word in written for end in _ENDINGS if word.endswith(end))
    return Newborn(order, read_sex(next(endings, "")) or "")
