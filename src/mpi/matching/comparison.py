"""Compare one record with many: per trait, how alike two values are, as a small ordinal level.

:func:`compare` runs every comparator over a column of candidates and answers a matrix of level numbers. Each distinct
value of a column is compared once, so a household of ten costs little more than one person.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpi.matching import comparators as c
from mpi.matching.birthdays import compare_dob
from mpi.matching.comparators import MISSING
from mpi.matching.name_comparators import (
    SPELLINGS,
    compare_family,
    compare_given,
    compare_middle,
)
from mpi.matching.record import StandardRecord


@dataclass(frozen=True, slots=True)
class Trait:
    """What is compared, and the levels its comparator can answer (``missing`` is level 0)."""

    name: str
    value: Callable[[StandardRecord], Any]
    comparator: Callable[[Any, Any], str]
    levels: tuple[str, ...]
    silence_tells: bool = False
    """Whether a record without a value has a level other than ``missing`` with those that have one."""


_names = attrgetter("given", "middle", "family")


TRAITS: tuple[Trait, ...] = (
    Trait("given", _names, compare_given,
          (MISSING, "exact", "nickname", "token", "initial", "prefix", "swapped", "middle", "alike",
           "misspelt", *SPELLINGS, "unfamiliar")),
    Trait("middle", _names, compare_middle,
          (MISSING, "exact", "initial", "similar", "other_initial", "different")),
    Trait("family", _names, compare_family, (MISSING, "exact", "token", "swapped", *SPELLINGS)),
    Trait("suffix", attrgetter("suffix"), c.compare_suffix,
          (MISSING, "same", "one_silent", "conflict"), silence_tells=True),
    Trait("dob", attrgetter("dob", "dob_damaged"), compare_dob,
          (MISSING, "exact", "january_first", "day_month_swapped", "one_edit", "decade", "two_parts",
           "partial", "damaged", "year_only", "two_edits", "different", "generation")),
    Trait("sex", attrgetter("sex"), c.compare_sex, (MISSING, "same", "different")),
    Trait("ssn", attrgetter("ssn", "ssn_last4"), c.compare_ssn,
          (MISSING, "exact", "last_four", "one_edit", "consecutive", "two_edits", "last_four_differ",
           "different")),
    Trait("national_id", attrgetter("national_id"), c.compare_national_id,
          (MISSING, "exact", "one_edit", "consecutive", "two_edits", "different")),
    Trait("address", attrgetter("addresses"), c.compare_address, (MISSING, *c.ADDRESS_LEVELS)),
    Trait("locality", attrgetter("addresses"), c.compare_locality, (MISSING, *c.LOCALITY_LEVELS)),
    Trait("phone", attrgetter("phones"), c.compare_phone, (MISSING, "exact", "one_edit", "different")),
    Trait("email", attrgetter("emails"), c.compare_email,
          (MISSING, "exact", "mailbox", "similar", "different")),
    Trait("identifier", attrgetter("identifiers"), c.compare_identifiers,
          (MISSING, "exact", "conflict")),
    Trait("birth_order", attrgetter("birth_order", "multiple_birth", "given"), c.compare_birth_order,
          (MISSING, "same", "flag_differs", "one_of_several", "conflict")),
    Trait("mothers_maiden_name", attrgetter("mothers_maiden"), c.compare_mothers_maiden,
          (MISSING, "exact", "similar", "different")),
    Trait("deceased", attrgetter("deceased"), c.compare_deceased,
          (MISSING, "same", "near", "different")),
)  # fmt: skip
TRAIT_INDEX = {trait.name: number for number, trait in enumerate(TRAITS)}
_GIVEN, _SEX = TRAIT_INDEX["given"], TRAIT_INDEX["sex"]
_SAME_SEX = TRAITS[_SEX].levels.index("same")
_SAME_NAME = np.isin(TRAITS[_GIVEN].levels, ("exact", "nickname", "token", "similar"))
_LEVEL_NUMBERS = [{level: number for number, level in enumerate(t.levels)} for t in TRAITS]


def level_numbers(trait: str) -> Mapping[str, int]:
    """The levels of a trait as numbers, as they stand in the matrix of :func:`compare`."""
    return _LEVEL_NUMBERS[TRAIT_INDEX[trait]]


def level_number(trait: str, level: str) -> int:
    """The number of one level within its trait."""
    return level_numbers(trait)[level]


class _Levels(dict[Any, int]):
    """The levels of one value with others, each compared when it is first asked for."""

    __slots__ = ("_column", "_mine")

    def __init__(self, column: int, mine: Any) -> None:
        self._column, self._mine = column, mine

    def __missing__(self, value: Any) -> int:
        word = TRAITS[self._column].comparator(self._mine, value)
        level = self[value] = _LEVEL_NUMBERS[self._column][word]
        return level


def compare(record: StandardRecord, others: Sequence[StandardRecord]) -> NDArray[np.int8]:
    """The comparison vectors of ``record`` with each of ``others``: shape (len(others), len(TRAITS))."""
    columns = [_column(number, trait.value(record), others) for number, trait in enumerate(TRAITS)]
    levels = np.frombuffer(b"".join(columns), dtype=np.int8)
    return levels.reshape(len(TRAITS), len(others)).T.copy()


def _column(number: int, mine: Any, others: Sequence[StandardRecord]) -> bytes:
    """The levels of one value with those of others."""
    trait = TRAITS[number]
    if not mine and not trait.silence_tells:
        return bytes(len(others))
    # Known values are looked up without a step of Python for each.
    return bytes(map(_Levels(number, mine).__getitem__, map(trait.value, others)))


def compare_values(record: StandardRecord, columns: Sequence[Collection[Any]]) -> NDArray[np.int8]:
    """The levels of ``record`` with values of each trait, some for each: shape (longest column, len(TRAITS)).

    A shorter column repeats its first level, which says nothing new.
    """
    matrix = np.empty((max(map(len, columns)), len(TRAITS)), dtype=np.int8)
    for column, values in enumerate(columns):
        trait, numbers = TRAITS[column], _LEVEL_NUMBERS[column]
        mine = trait.value(record)
        levels = [numbers[trait.comparator(mine, value)] for value in values]
        matrix[:, column] = levels[0]
        matrix[: len(levels), column] = levels
    return matrix


def informative(levels: NDArray[np.int8]) -> NDArray[np.int8]:
    """The same without what follows from other levels: who has the same given name has the same sex.

    ``levels`` has shape (pairs, traits); the answer is a copy.
    """
    found = levels.copy()
    implied = (found[:, _SEX] == _SAME_SEX) & _SAME_NAME[found[:, _GIVEN]]
    found[implied, _SEX] = 0
    return found
