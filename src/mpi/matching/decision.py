"""Weigh comparison vectors and decide: link, ask a steward, or mint a person. Pure.

A record is compared with every record of a candidate person; per trait the most telling agreement counts. Agreement
with any of k different values is likelier by chance, u_k = 1 − (1 − u)^k, so persons with many values do not
attract everybody.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mpi.domain.identity import Assertion, AssertionKind, PersonState, StoredRecord
from mpi.domain.record import RecordKey
from mpi.matching.comparison import TRAITS, compare
from mpi.matching.model import Matrix, Model, shared_value
from mpi.matching.record import StandardRecord
from mpi.matching.vetoes import vetoes_between

_MOST_CANDIDATES = 20


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
class ExplanationRow:
    """One bar of the waterfall. ``record`` names the (source, source_id) compared with."""

    trait: str
    level: str
    weight: float
    record: tuple[str, str] | None
    kind: str  # prior, comparison, term_frequency, relatives


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
    """How well one person fits: total weight (log2 odds), probability, grade, and what forbids a link."""

    mpi_id: str
    weight: float
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


def _level_weights(
    levels: Matrix, records: Sequence[StoredRecord], model: Model, trait: int
) -> tuple[int, float]:
    """The most telling record for a trait, and the weight it gives after counting the k values on offer."""
    column = levels[:, trait]
    spoken = np.flatnonzero(column)
    if not len(spoken):
        return -1, 0.0
    weights = model.match[trait, column[spoken]]
    best = int(spoken[int(weights.argmax())])
    level = column[best]
    weight = float(model.match[trait, level])
    values = (
        len({TRAITS[trait].value(records[i].standard) for i in spoken.tolist()})
        if len(spoken) > 1
        else 1
    )
    if values > 1 and model.agreement[trait, level]:
        u = float(model.chance[trait, level])
        weight = max(0.0, weight - math.log2((1 - (1 - u) ** values) / u))
    return best, weight


def _rows(
    record: StandardRecord,
    records: Sequence[StoredRecord],
    levels: Matrix,
    model: Model,
    index_size: int,
) -> list[ExplanationRow]:
    rows = [ExplanationRow("prior", "", model.prior(index_size), None, "prior")]
    relative = 0.0
    for number, trait in enumerate(TRAITS):
        best, weight = _level_weights(levels, records, model, number)
        if best < 0:
            continue
        level, other = int(levels[best, number]), records[best]
        named = (other.key.source, other.key.source_id)
        rows.append(ExplanationRow(trait.name, trait.levels[level], weight, named, "comparison"))
        relative += float(model.relative[number, level])
        if weight > 0 and (shared := shared_value(trait.name, record, other.standard)):
            rarity = model.rarity(trait.name, shared)
            relative += rarity
            rows.append(
                ExplanationRow(trait.name, trait.levels[level], rarity, named, "term_frequency")
            )
    penalty = model.relatives_penalty(relative, index_size)
    rows.append(ExplanationRow("relatives", "", penalty, None, "relatives"))
    return rows


def explain_person(
    record: StandardRecord,
    person: PersonState,
    model: Model,
    index_size: int,
) -> Explanation:
    """Every row that makes up the weight of one person, whether it matches or not."""
    levels = compare(record, [other.standard for other in person.records])
    return _explained(record, person, levels, model, index_size)


def _explained(
    record: StandardRecord, person: PersonState, levels: Matrix, model: Model, index_size: int
) -> Explanation:
    """``levels`` are the comparison vectors of the record with the person's records, in their order."""
    rows = _rows(record, person.records, levels, model, index_size)
    weight = math.fsum(row.weight for row in rows)
    vetoes = vetoes_between(levels)
    return Explanation(
        person.mpi_id, tuple(rows), weight, confidence_of(weight), grade_of(weight, model), vetoes
    )


def fits(
    record: StandardRecord,
    key: RecordKey | None,
    person: PersonState,
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
) -> ScoredPerson:
    """Score one record against one person, human assertions included."""
    return _scored(explain_person(record, person, model, index_size), key, person, assertions)


def _scored(
    seen: Explanation, key: RecordKey | None, person: PersonState, assertions: Sequence[Assertion]
) -> ScoredPerson:
    members = {other.key for other in person.records}
    about = {a.kind for a in assertions if key and _other_side(a, key) in members}
    vetoes = seen.vetoes + (("not_same_assertion",) if AssertionKind.NOT_SAME in about else ())
    same = AssertionKind.SAME in about
    return ScoredPerson(person.mpi_id, seen.match_weight, seen.confidence, seen.grade, vetoes, same)


def _other_side(assertion: Assertion, key: RecordKey) -> RecordKey | None:
    if assertion.left == key:
        return assertion.right
    return assertion.left if assertion.right == key else None


def self_weight(record: StandardRecord, model: Model, index_size: int) -> float:
    """The weight of a record against an exact copy of itself: how much it can prove at all."""
    levels = compare(record, [record])[0]
    match = sum(float(model.match[i, level]) for i, level in enumerate(levels))
    shared = [(trait, shared_value(trait, record, record)) for trait in ("given", "family")]
    return (
        match + model.prior(index_size) + sum(model.rarity(trait, value) for trait, value in shared)
    )


def decide(
    record: StandardRecord,
    key: RecordKey | None,
    persons: Sequence[PersonState],
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
    exclude: frozenset[RecordKey] = frozenset(),
) -> Decision:
    """Rank the persons and choose. ``exclude`` names records that are no evidence (the record's own past)."""
    trimmed = [_without(person, exclude) for person in persons]
    people = {person.mpi_id: person for person in trimmed if person.records}
    levels = compare(record, [r.standard for person in people.values() for r in person.records])
    scored, start = [], 0
    for person in people.values():
        end = start + len(person.records)
        seen = _explained(record, person, levels[start:end], model, index_size)
        scored.append(_scored(seen, key, person, assertions))
        start = end
    ranked = sorted(scored, key=lambda s: (not s.same_assertion, -s.weight, s.mpi_id))
    shown = tuple(s for s in ranked if s.same_assertion or s.weight >= model.thresholds.possible)[
        :_MOST_CANDIDATES
    ]
    best = ranked[0] if ranked else None
    linkable = [s for s in ranked if _may_link(s, model)]
    if linkable:
        return _link(linkable, ranked, shown, people, assertions, model, index_size)
    doubtful = tuple(s.mpi_id for s in ranked if s.weight >= model.thresholds.review)
    if doubtful:
        vetoed = best is not None and best.weight >= model.thresholds.link
        return Decision(
            Outcome.REVIEW, None, best, shown, (), doubtful, "vetoed" if vetoed else "uncertain"
        )
    return Decision(Outcome.NEW, None, best, shown, reason="insufficient_weight" if shown else None)


def _without(person: PersonState, exclude: frozenset[RecordKey]) -> PersonState:
    if not exclude or not any(r.key in exclude for r in person.records):
        return person
    kept = tuple(r for r in person.records if r.key not in exclude)
    return PersonState(person.mpi_id, person.version, person.active, person.merged_into, kept)


def _may_link(scored: ScoredPerson, model: Model) -> bool:
    if "not_same_assertion" in scored.vetoes:
        return False
    return scored.same_assertion or (scored.weight >= model.thresholds.link and not scored.vetoes)


def _link(
    linkable: Sequence[ScoredPerson],
    ranked: Sequence[ScoredPerson],
    shown: tuple[ScoredPerson, ...],
    people: dict[str, PersonState],
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
) -> Decision:
    """Join the best person; certain others are merged where nothing forbids it, else a steward sees both."""
    best, others = linkable[0], linkable[1:]
    merge: list[str] = []
    review: list[str] = []
    for other in others:
        together = [people[best.mpi_id], *(people[m] for m in merge)]
        one = all(
            _could_be_one(p, people[other.mpi_id], assertions, model, index_size) for p in together
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


def _could_be_one(
    left: PersonState,
    right: PersonState,
    assertions: Sequence[Assertion],
    model: Model,
    index_size: int,
) -> bool:
    """No assertion, veto or impossible member pair stands between two persons."""
    ours, theirs = {r.key for r in left.records}, {r.key for r in right.records}
    for a in assertions:
        apart = (a.left in ours and a.right in theirs) or (a.left in theirs and a.right in ours)
        if a.kind is AssertionKind.NOT_SAME and apart:
            return False
    for member in left.records:
        seen = explain_person(member.standard, right, model, index_size)
        if seen.vetoes or seen.match_weight < model.thresholds.impossible:
            return False
    return True
