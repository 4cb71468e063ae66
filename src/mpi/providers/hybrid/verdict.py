"""What follows when our own matching and Verato have both answered. Pure.

Verato names a link; whoever holds records of that link is the patient to it, and whoever is known there under another
link is not. What people have asserted and what our own matching forbids stands above both: then a steward decides.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

from mpi.domain.identity import Candidate, Told
from mpi.domain.record import RecordKey
from mpi.matching.decision import Decision, Outcome, ScoredPerson
from mpi.providers.hybrid.strategy import Clarity, Party, Strategy, clarity_about, in_doubt
from mpi.providers.verato.links import SEVERAL

DISAGREE = "matching_and_verato_disagree"
VETOED = "verato_links_what_is_vetoed"
ASSERTED = "verato_links_what_people_parted"
ELSEWHERE = "verato_links_elsewhere"


def placed(
    decision: Decision,
    told: Told,
    linked: Sequence[Candidate],
    apart: Set[RecordKey],
    persons: Sequence[Candidate],
    strategy: Strategy,
) -> Decision:
    """Where a record without company goes. ``linked`` are the persons of its link, of all the ``persons`` around.

    ``apart`` are the records that people say are not the same. Who is only reserved here, without demographics, is
    whom Verato says.
    """
    if decision.best is not None and decision.best.same_assertion:
        return decision
    scored = {each.mpi_id: each for each in decision.candidates}
    there = {person.mpi_id for person in linked}
    parted = [p.mpi_id for p in linked if any(record.key in apart for record in p.records)]
    vetoed = [m for m in there.difference(parted) if m in scored and scored[m].vetoes]
    free = sorted(there.difference(parted, vetoed))
    reserved = {p.mpi_id for p in linked if all(r.key.source == told.provider for r in p.records)}
    trusted = [
        m
        for m in free
        if m in reserved or strategy.authority[clarity_about(scored.get(m))] is Party.VERATO
    ]
    rivals = _rivals(decision, there, told, persons, strategy)
    certain = [m for m in free if clarity_about(scored.get(m)) is Clarity.CERTAIN]
    agreed = sorted({*trusted, *certain})
    if agreed and not rivals:
        return _linked(decision, agreed, scored)
    if there:
        if parted and not (vetoed or free):
            return _asked(decision, parted, ASSERTED)
        named = sorted({*free, *vetoed, *rivals})
        return _asked(decision, named, VETOED if vetoed and not free else DISAGREE)
    if rivals:
        return _asked(decision, sorted(rivals), DISAGREE)
    return _nobody(decision, told, persons)


def kept(
    decision: Decision,
    told: Told,
    home: str,
    company: Sequence[RecordKey],
    others: Sequence[Candidate],
    strategy: Strategy,
) -> Decision:
    """Whether a new version stays in its ``home``, among the records of its ``company``; ``others`` hold its link."""
    said = [verdict.same for verdict in told.verdicts if verdict.record in company]
    same, parted = any(said), bool(said) and not any(said)
    about = clarity_about(decision.best)
    if decision.outcome is Outcome.LINK:
        if (parted or (others and not same)) and strategy.authority[about] is Party.VERATO:
            named = (home, *sorted(person.mpi_id for person in others))
            return replace(decision, outcome=Outcome.REVIEW, review=named, reason=ELSEWHERE)
        return decision
    if not same or (decision.best is not None and decision.best.vetoes):
        return decision
    if strategy.authority[about] is Party.VERATO:
        return replace(decision, outcome=Outcome.LINK, mpi_id=home, review=(), reason=None)
    return decision


def _rivals(
    decision: Decision,
    there: Set[str],
    told: Told,
    persons: Sequence[Candidate],
    strategy: Strategy,
) -> set[str]:
    """Persons who are certain to our matching and not the patient to Verato, where that is worth a question.

    Where Verato has the last word about such persons, only those count whom it knows as somebody else.
    """
    certain = {
        each.mpi_id
        for each in decision.candidates
        if clarity_about(each) is Clarity.CERTAIN and each.mpi_id not in there
    }
    if strategy.authority[Clarity.CERTAIN] is Party.INTERNAL:
        return certain
    return certain & judged(told, persons)


def judged(told: Told, persons: Sequence[Candidate]) -> set[str]:
    """The persons of whom Verato knows a record."""
    known = {verdict.record for verdict in told.verdicts}
    return {p.mpi_id for p in persons if any(record.key in known for record in p.records)}


def _linked(decision: Decision, free: Sequence[str], scored: dict[str, ScoredPerson]) -> Decision:
    """Join the likeliest person of the link. Several are never merged on Verato's word: people may have parted them."""
    ranked = sorted(free, key=lambda m: (-scored[m].weight if m in scored else 0.0, m))
    best, *rest = ranked
    return replace(
        decision,
        outcome=Outcome.LINK,
        mpi_id=best,
        best=scored.get(best),
        merge=(),
        review=(best, *rest) if rest else (),
        reason=SEVERAL if rest else None,
    )


def _asked(decision: Decision, named: Sequence[str], reason: str) -> Decision:
    return replace(
        decision,
        outcome=Outcome.REVIEW,
        mpi_id=None,
        merge=(),
        review=tuple(dict.fromkeys((*decision.review, *named))),
        reason=reason,
    )


def _nobody(decision: Decision, told: Told, persons: Sequence[Candidate]) -> Decision:
    """Verato knows nobody of ours as the patient: a new person, unless somebody in doubt is not known there."""
    if decision.outcome is Outcome.LINK:
        return decision
    unknown = {each.mpi_id for each in in_doubt(decision)} - judged(told, persons)
    if unknown:
        return decision
    return replace(decision, outcome=Outcome.NEW, mpi_id=None, review=(), reason=None)
