"""Persons of many records, gathered trait by trait: a value is compared once, however many records have it. Pure.

A person of thousands of records has few different values of most traits, and has grown by one record since it was
looked at last. So what was gathered is kept, and only what is new is read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from mpi.domain.identity import Candidate, Evidence
from mpi.domain.record import RecordKey
from mpi.matching.comparison import TRAITS, compare, compare_values
from mpi.matching.model import Matrix
from mpi.matching.record import StandardRecord

FEW = 16
"""Records that are compared one by one: gathering them would cost more than it saves."""

_MOST_RECORDS = 20_000


class Gathered:
    """The different values of a person's records, in the order in which they came."""

    __slots__ = ("_firsts", "records")

    def __init__(
        self, records: tuple[Evidence, ...], firsts: tuple[dict[Any, int], ...], seen: int
    ) -> None:
        """``firsts`` tells for each trait which record has a value first, for those before ``seen``."""
        self.records = records
        self._firsts = firsts
        for place in range(seen, len(records)):
            standard: StandardRecord = records[place].standard
            for trait, first in zip(TRAITS, firsts, strict=True):
                first.setdefault(trait.value(standard), place)

    def grown(self, records: tuple[Evidence, ...]) -> Gathered:
        """The same with more records behind these."""
        return Gathered(records, tuple(map(dict.copy, self._firsts)), len(self.records))

    def compare(self, record: StandardRecord) -> Matrix:
        """Levels with the values of each trait; a trait of fewer values than another repeats its first."""
        return compare_values(record, self._firsts)

    def values(self, column: int) -> int:
        """How many different values a trait has."""
        return len(self._firsts[column])

    def record(self, column: int, row: int) -> Evidence:
        """The first record that has a value, given by its row in what :meth:`compare` answers."""
        return self.records[list(self._firsts[column].values())[row]]


class _Memory:
    """What was gathered last, by the first and the last record, up to so many records in all."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[RecordKey, RecordKey], Gathered] = OrderedDict()
        self._records = 0

    def find(self, records: tuple[Evidence, ...]) -> Gathered | None:
        """What is kept of these very records. As a rule they are the same objects, which needs no look into them."""
        found = self._kept.get((records[0].key, records[-1].key))
        return found if found is not None and found.records == records else None

    def keep(self, found: Gathered) -> None:
        """Keep it as what was asked for last."""
        ends = (found.records[0].key, found.records[-1].key)
        before = self._kept.pop(ends, None)
        self._kept[ends] = found
        self._records += len(found.records) - (len(before.records) if before else 0)
        while self._records > _MOST_RECORDS and len(self._kept) > 1:
            self._records -= len(self._kept.popitem(last=False)[1].records)


_memory = _Memory()


def gather(records: tuple[Evidence, ...]) -> Gathered:
    """The values of the records of a person, more than one."""
    found = _memory.find(records)
    if found is None:
        shorter = _memory.find(records[:-1])
        empty: tuple[dict[Any, int], ...] = tuple({} for _ in TRAITS)
        found = shorter.grown(records) if shorter else Gathered(records, empty, 0)
    _memory.keep(found)
    return found


@dataclass(frozen=True, slots=True)
class Compared:
    """A record compared with P persons: a row for each record of a person, or each value of one with many records."""

    persons: Sequence[Candidate]
    gathered: Mapping[int, Gathered]  # the persons of many records, by their number
    vectors: Matrix  # (rows, T): levels, person by person
    starts: Sequence[int]  # first row of each person, and the end: P + 1 numbers

    def vectors_of(self, number: int) -> Matrix:
        """The rows of one person."""
        return self.vectors[self.starts[number] : self.starts[number + 1]]

    def record(self, number: int, column: int, row: int) -> Evidence:
        """Whose value of a trait a row of a person stands for."""
        large = self.gathered.get(number)
        place = row - self.starts[number]
        return large.record(column, place) if large else self.persons[number].records[place]

    def spoken(self, number: int, column: int) -> int:
        """With how many different values of a person a trait could be compared."""
        levels = self.vectors_of(number)[:, column]
        large = self.gathered.get(number)
        if large:
            return int(np.count_nonzero(levels[: large.values(column)]))
        value, records = TRAITS[column].value, self.persons[number].records
        told = zip(levels.tolist(), records, strict=True)
        return len({value(record.standard) for level, record in told if level})


def compare_persons(record: StandardRecord, persons: Sequence[Candidate]) -> Compared:
    """Compare a record with persons, each with at least one record."""
    gathered = {n: gather(p.records) for n, p in enumerate(persons) if len(p.records) > FEW}
    others = [r.standard for n, p in enumerate(persons) if n not in gathered for r in p.records]
    vectors, counts = compare(record, others), [len(p.records) for p in persons]
    if gathered:
        parts, taken = [], 0
        for number, person in enumerate(persons):
            if number in gathered:
                parts.append(gathered[number].compare(record))
            else:
                parts.append(vectors[taken : taken + len(person.records)])
                taken += len(person.records)
        vectors, counts = np.concatenate(parts), list(map(len, parts))
    return Compared(persons, gathered, vectors, list(accumulate(counts, initial=0)))
