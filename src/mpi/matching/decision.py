"""Decide: link a record, ask a steward, or mint a person. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from mpi.domain.identity import Assertion, AssertionKind, Candidate, Member, Neighbour
from mpi.domain.record import RecordKey
from mpi.matching.comparison import compare, informative
from mpi.matching.model import FREQUENCY_TRAITS, Model, shared_value
from mpi.matching.record import StandardRecord
from mpi.matching.twins import has_a_name, possible_twins
from mpi.matching.vetoes import (
    ONE_OF_SEVERAL,
    TWIN_PATTERN,
    UNPROVEN,
    another_middle_name,
    may_be_twins,
    two_names_in_use,
    vetoes_between,
)
from mpi.matching.weighing import ExplanationRow, Weighing, weigh

NOT_SAME = "not_same_assertion"
"""The veto of a human."""

MOST_CANDIDATES = 20
"""Persons that a decision shows; it looks at all."""


class Outcome(StrEnum):
    LINK = "LINK"
    REVIEW = "REVIEW"
    NEW = "NEW"


class Grade(StrEnum):
    """FHIR match grades."""

    CERTAIN = "certain"
    PROBABLE = "probable"
    POSSIBLE = "possible"
    CERTAINLY_NOT = "certainly-not"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Rows whose sum (``math.fsum``) is exactly ``match_weight``."""

    mpi_id: str | None
    rows: tuple[ExplanationRow, ...]
    match_weight: float
    confidence: float
    grade: Grade
    vetoes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScoredPerson:
    """How well one person fits: total weight (log2 odds), probability, grade, and what forbids a link.

    ``question`` is the weight among the patients of the index alone. That somebody in the catchment may look the same
    is a reason not to link unseen, but none not to look: a steward can find out where a patient lives.
    """

    mpi_id: str
    weight: float
    question: float
    confidence: float
    grade: Grade
    vetoes: tuple[str, ...] = ()
    same_assertion: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a record, and the persons a steward would look at."""

    outcome: Outcome
    mpi_id: str | None
    best: ScoredPerson | None
    candidates: tuple[ScoredPerson, ...]
    merge: tuple[str, ...] = ()
    review: tuple[str, ...] = ()
    reason: str | None = None


def confidence_of(weight: float) -> float:
    """Probability of a match whose log2 odds are ``weight``."""
    return 1 / (1 + 2**-weight) if weight > -1000 else 0.0


def grade_of(weight: float, model: Model) -> Grade:
    limits = model.thresholds
    if weight >= limits.link:
        return Grade.CERTAIN
    if weight >= limits.review:
        return Grade.PROBABLE
    return Grade.POSSIBLE if weight >= limits.possible else Grade.CERTAINLY_NOT


def explain_person(
    record: StandardRecord,
    person: Candidate,
    model: Model,
    index_size: int,
) -> Explanation:
    """Every row that makes up the weight of one person, whether it matches or not."""
    weighing = weigh(record, [person], model, index_size)
    (weight,) = weighing.totals()
    vetoes = vetoes_between(weighing.compared.vectors)
    confidence, grade = confidence_of(weight), grade_of(weight, model)
    return Explanation(person.mpi_id, weighing.rows(0), weight, confidence, grade, vetoes)


def fits(
    record: StandardRecord,
    key: RecordKey | None,
    person: Candidate,
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
) -> ScoredPerson:
    """Score one record against one person, human assertions included."""
    weighing = weigh(record, [person], model, index_size)
    return _scored(weighing, 0, weighing.totals()[0], _asserted(key, assertions), model)


def _asserted(
    key: RecordKey | None, assertions: Sequence[Assertion]
) -> dict[RecordKey, AssertionKind]:
    """What people said of a record and others. No pair is both the same and not the same."""
    sides = ((a.kind, a.other(key)) for a in assertions) if key else ()
    return {other: kind for kind, other in sides if other is not None}


def _scored(
    weighing: Weighing,
    number: int,
    weight: float,
    asserted: Mapping[RecordKey, AssertionKind],
    model: Model,
) -> ScoredPerson:
    person = weighing.compared.persons[number]
    said = {asserted.get(other.key) for other in person.records} if asserted else set()
    vetoes = vetoes_between(weighing.compared.vectors_of(number))
    if AssertionKind.NOT_SAME in said:
        vetoes = (*vetoes, NOT_SAME)
    confidence, grade = confidence_of(weight), grade_of(weight, model)
    same = AssertionKind.SAME in said
    question = weight - float(weighing.unplaced[number])
    return ScoredPerson(person.mpi_id, weight, question, confidence, grade, vetoes, same)


def self_weight(record: StandardRecord, model: Model, index_size: int) -> float:
    """The weight of a record against an exact copy of itself: how much it can prove at all."""
    levels = informative(compare(record, [record]))
    said = model.said(levels)
    rarity = sum(model.rarity(t, shared_value(t, record, record)) for t in FREQUENCY_TRAITS)
    unplaced = float(model.unplaced(said, np.array([rarity]), index_size)[0])
    return float(model.matched(levels).sum()) + model.prior(index_size) + unplaced + rarity


def decide(
    record: StandardRecord,
    key: RecordKey | None,
    persons: Sequence[Candidate],
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
) -> Decision:
    """Rank the persons and choose."""
    people = {person.mpi_id: person for person in persons if person.records}
    if not people:
        return Decision(Outcome.NEW, None, None, ())
    ranked = _ranked(record, key, list(people.values()), assertions, model, index_size)
    best = ranked[0]
    shown = tuple(
        s for s in ranked if s.same_assertion or _is_possible(s.weight, s.question, model)
    )
    shown = shown[:MOST_CANDIDATES]
    linkable = [s for s in ranked if _may_link(s, model)]
    if linkable:
        return _link(record, linkable, ranked, shown, people, assertions, model, index_size)
    doubtful = [s for s in ranked if s.question >= model.thresholds.review and not _kept_apart(s)]
    if doubtful:
        vetoed = doubtful[0].weight >= model.thresholds.link
        named = tuple(s.mpi_id for s in doubtful)
        reason = "vetoed" if vetoed else "uncertain"
        return Decision(Outcome.REVIEW, None, doubtful[0], shown, (), named, reason)
    answered = best.question >= model.thresholds.review
    little = "insufficient_weight" if shown else None
    return Decision(Outcome.NEW, None, best, shown, reason=NOT_SAME if answered else little)


def _ranked(
    record: StandardRecord,
    key: RecordKey | None,
    persons: Sequence[Candidate],
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
) -> list[ScoredPerson]:
    """The persons worth looking at, the best first: all that are possible, or else the least unlikely one."""
    weighing = weigh(record, persons, model, index_size)
    totals = weighing.totals()
    asserted = _asserted(key, assertions)
    most, unplaced = max(totals), weighing.unplaced.tolist()
    scored = [
        _scored(weighing, number, weight, asserted, model)
        for number, weight in enumerate(totals)
        if weight == most
        or _is_possible(weight, weight - unplaced[number], model)
        or (asserted and any(r.key in asserted for r in persons[number].records))
    ]
    told = _with_twins(record, scored, {person.mpi_id: person for person in persons})
    return sorted(told, key=lambda s: (not s.same_assertion, -s.weight, s.mpi_id))


def _with_twins(
    record: StandardRecord, scored: list[ScoredPerson], people: Mapping[str, Candidate]
) -> list[ScoredPerson]:
    several = possible_twins(record, {s.mpi_id: s.vetoes for s in scored}, people)
    return [_one_of_several(s) if s.mpi_id in several else s for s in scored]


def _one_of_several(scored: ScoredPerson) -> ScoredPerson:
    return replace(scored, vetoes=tuple(dict.fromkeys((*scored.vetoes, ONE_OF_SEVERAL))))


def _is_possible(weight: float, question: float, model: Model) -> bool:
    return weight >= model.thresholds.possible or question >= model.thresholds.review


def _kept_apart(scored: ScoredPerson) -> bool:
    """A human has answered for this person: nobody is asked again."""
    return NOT_SAME in scored.vetoes


def _may_link(scored: ScoredPerson, model: Model) -> bool:
    if _kept_apart(scored):
        return False
    return scored.same_assertion or (scored.weight >= model.thresholds.link and not scored.vetoes)


def _link(
    arriving: StandardRecord,
    linkable: Sequence[ScoredPerson],
    ranked: Sequence[ScoredPerson],
    shown: tuple[ScoredPerson, ...],
    people: dict[str, Candidate],
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
) -> Decision:
    """Join the best person; certain others are merged where nothing forbids it, else a steward sees both."""
    best = linkable[0]
    grown = _with(arriving, people[best.mpi_id])
    doubtful = [s for s in ranked if s not in linkable and not s.vetoes]
    others = [*linkable[1:], *_now_certain(grown, doubtful, people, model, index_size)]
    merge: list[str] = []
    review: list[str] = []
    for other in others:
        together = [people[best.mpi_id], *(people[m] for m in merge)]
        one = all(
            _could_be_one(arriving, p, people[other.mpi_id], assertions, model, index_size)
            for p in together
        )
        (merge if one else review).append(other.mpi_id)
    rivals = [
        s for s in ranked if s.mpi_id in review and best.weight - s.weight < model.thresholds.margin
    ]
    if rivals and not best.same_assertion:
        named = (best.mpi_id, *review)
        return Decision(Outcome.REVIEW, None, best, shown, (), named, "ambiguous")
    joined = (best.mpi_id, *review) if review else ()
    return Decision(Outcome.LINK, best.mpi_id, best, shown, tuple(merge), joined, None)


def _with(record: StandardRecord, person: Candidate) -> Candidate:
    """The person once the arriving record has joined it."""
    arrived = Member(RecordKey("", ""), record)
    return Neighbour(person.mpi_id, (*person.records, arrived))


def _different(person: Candidate) -> Iterable[StandardRecord]:
    """The records of a person, of equal ones the first."""
    return dict.fromkeys(record.standard for record in person.records)


def _now_certain(
    grown: Candidate,
    doubtful: Sequence[ScoredPerson],
    people: dict[str, Candidate],
    model: Model,
    index_size: int,
) -> list[ScoredPerson]:
    """Persons that would join the grown person if they arrived only now: the order of arrival must not matter."""
    found = []
    for scored in doubtful:
        for member in _different(people[scored.mpi_id]):
            weighing = weigh(member, [grown], model, index_size)
            if weighing.totals()[0] >= model.thresholds.link:
                found.append(scored)
                break
    return found


def _could_be_one(
    arriving: StandardRecord,
    left: Candidate,
    right: Candidate,
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
) -> bool:
    """No assertion, contradiction or impossible member pair stands between two persons that an arriving record joins.

    That two members prove nothing about each other does not part what a third record joins, nor does a name that is
    none where that record has the number or the name of the other, nor a newborn without a name where it has a name of
    either. But KEVIN does not make KEVIN S. and KEVIN J. one, nor two newborns without names, each of whom he may be.
    """
    ours, theirs = {r.key for r in left.records}, {r.key for r in right.records}
    if any(a.kind is AssertionKind.NOT_SAME and a.joins(ours, theirs) for a in assertions):
        return False
    nameless = not has_a_name(left) and not has_a_name(right)
    seen, joined = (weigh(arriving, [p], model, index_size).compared.vectors for p in (right, left))
    for member in _different(left):
        weighing = weigh(member, [right], model, index_size)
        vectors = weighing.compared.vectors
        seen = np.concatenate((seen, vectors))
        misread = set() if two_names_in_use(vectors) else {TWIN_PATTERN}
        contradictions = set(vetoes_between(vectors)) - {UNPROVEN, ONE_OF_SEVERAL} - misread
        # Two members that name no place are not the less possible for it.
        likely = weighing.totals()[0] - float(weighing.unplaced[0])
        if contradictions or another_middle_name(vectors) or likely < model.thresholds.impossible:
            return False
        if nameless and may_be_twins(vectors):
            return False
    if TWIN_PATTERN in vetoes_between(seen):
        return False
    return ONE_OF_SEVERAL not in vetoes_between(np.concatenate((seen, joined)))
