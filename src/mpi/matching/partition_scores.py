"""How right a partition into persons is, given who is who.

Pairwise figures count pairs of records; B³ (Bagga and Baldwin 1998) averages over records how pure and how complete
the person of each is, so that one large wrong merge does not outweigh everything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

STRANGER = "stranger"
"""The relation of two people of whom none is recorded."""

Partition = Mapping[str, Hashable]
"""Record to person."""


@dataclass(frozen=True, slots=True)
class Score:
    """Shares from 0 to 1. ``lost`` records stand in the truth and nowhere in the answer; each counts as alone."""

    records: int
    true_pairs: int
    lost: int
    precision: float
    recall: float
    b3_precision: float
    b3_recall: float

    @property
    def b3(self) -> float:
        """The harmonic mean of B³ precision and recall."""
        return 2 * self.b3_precision * self.b3_recall / (self.b3_precision + self.b3_recall)


def score(truth: Partition, found: Partition) -> Score:
    """Compare a partition with the truth; records that the truth does not know are left out.

    Raises:
        ValueError: the truth is empty.
    """
    if not truth:
        raise ValueError("there is nothing to score")
    answer = _answer(truth, found)
    together = Counter((answer[record], person) for record, person in truth.items())
    groups, people = Counter(answer.values()), Counter(truth.values())
    right, claimed, true = _pairs(together), _pairs(groups), _pairs(people)
    size = len(truth)
    return Score(
        records=size,
        true_pairs=true,
        lost=len(truth.keys() - found.keys()),
        precision=right / claimed if claimed else 1.0,
        recall=right / true if true else 1.0,
        b3_precision=sum(n * n / groups[group] for (group, _), n in together.items()) / size,
        b3_recall=sum(n * n / people[person] for (_, person), n in together.items()) / size,
    )


def _answer(truth: Partition, found: Partition) -> dict[str, Hashable]:
    # A lost record is a person of its own, unlike any that was found.
    return {record: found.get(record, ("lost", record)) for record in truth}


def _pairs(groups: Mapping[Any, int]) -> int:
    return sum(n * (n - 1) // 2 for n in groups.values())


@dataclass(frozen=True, slots=True)
class WrongMerges:
    """Persons that hold records of several people, and the relations of those people."""

    persons: int
    wrong: int
    relations: Counter[str]

    @property
    def per_100k(self) -> float:
        """Wrongly merged persons per 100,000 persons."""
        return 100_000 * self.wrong / self.persons


def wrong_merges(
    truth: Partition, found: Partition, related: Iterable[tuple[str, str, str]] = ()
) -> WrongMerges:
    """Which persons are two people or more. ``related`` names pairs of people and how they are related."""
    members: dict[Hashable, set[Hashable]] = defaultdict(set)
    for record, person in _answer(truth, found).items():
        members[person].add(truth[record])
    merged = [people for people in members.values() if len(people) > 1]
    pairs = {frozenset(pair) for people in merged for pair in combinations(people, 2)}
    return WrongMerges(len(members), len(merged), _relations(pairs, related))


@dataclass(frozen=True, slots=True)
class RelatedPairs:
    """Pairs of records of people who are so related: how many there are, and how many are wrongly in one person."""

    relation: str
    pairs: int
    linked: int

    @property
    def share(self) -> float:
        """The share that is wrongly in one person."""
        return self.linked / self.pairs


def related_pairs(
    truth: Partition, found: Partition, related: Iterable[tuple[str, str, str]]
) -> tuple[RelatedPairs, ...]:
    """How often records of related people were put in one person, by relation, the most frequent relation first."""
    persons: dict[Hashable, Counter[Hashable]] = defaultdict(Counter)
    for record, person in _answer(truth, found).items():
        persons[truth[record]][person] += 1
    pairs, linked = Counter[str](), Counter[str]()
    # However often a couple is told of, and in which order.
    couples = dict.fromkeys(
        (min(one, other), max(one, other), what) for one, other, what in related
    )
    for one, other, relation in couples:
        mine, theirs = persons[one], persons[other]
        pairs[relation] += mine.total() * theirs.total()
        linked[relation] += sum(count * theirs[person] for person, count in mine.items())
    return tuple(
        RelatedPairs(relation, count, linked[relation])
        for relation, count in pairs.most_common()
        if count
    )


@dataclass(frozen=True, slots=True)
class HardCase:
    """Records that one thing makes hard, and the pairs that at least one of them is in.

    Of ``pairs`` of one person ``found`` are in one; ``false`` pairs of different people are as well.
    """

    tag: str
    records: int
    pairs: int
    found: int
    false: int

    @property
    def recall(self) -> float | None:
        """The share of the pairs that is in one person; None where there are none."""
        return self.found / self.pairs if self.pairs else None


def hard_cases(
    truth: Partition, found: Partition, tags: Mapping[str, Collection[str]]
) -> tuple[HardCase, ...]:
    """How it went with the records of each tag, in the order of the tags."""
    answer = _answer(truth, found)
    both = {record: (answer[record], person) for record, person in truth.items()}
    groupings = [(people, Counter(people.values())) for people in (truth, both, answer)]
    tagged: dict[str, list[str]] = defaultdict(list)
    for record in truth:
        for tag in tags.get(record, ()):
            tagged[tag].append(record)
    cases = []
    for tag, records in sorted(tagged.items()):
        true, right, linked = (
            _pairs(sizes) - _pairs(sizes - Counter(people[record] for record in records))
            for people, sizes in groupings
        )
        cases.append(HardCase(tag, len(records), true, right, linked - right))
    return tuple(cases)


def _relations(
    pairs: set[frozenset[Hashable]], related: Iterable[tuple[str, str, str]]
) -> Counter[str]:
    named = {
        pair: relation
        for one, other, relation in related
        if (pair := frozenset[Hashable]((one, other))) in pairs
    }
    return Counter(named.get(pair, STRANGER) for pair in pairs)
