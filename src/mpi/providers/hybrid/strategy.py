"""The strategies of the provider ``hybrid``: a table of who is asked first, when the other is, whose word counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from mpi.matching.decision import NOT_SAME, Decision, Grade, Outcome, ScoredPerson


class Clarity(StrEnum):
    """How clear a case is to our own matching."""

    CERTAIN = "certain"  # somebody is certainly the patient
    GREY = "grey"  # somebody may be
    NOBODY = "nobody"  # certainly nobody is


class Party(StrEnum):
    INTERNAL = "internal"
    VERATO = "verato"


@dataclass(frozen=True, slots=True)
class Strategy:
    """One row of the table.

    ``first`` is asked first; when that is our own matching, Verato is asked in the cases of ``asks``, and the answer
    ``waits`` for it or goes ahead. ``authority`` says whose word counts about a person who is so clear to our own
    matching, when the two differ. Assertions of people and vetoes outrank both in every row.
    """

    first: Party
    asks: frozenset[Clarity]
    waits: bool
    authority: Mapping[Clarity, Party]


_ALL = frozenset(Clarity)
_VERATO = dict.fromkeys(Clarity, Party.VERATO)
_INTERNAL = dict.fromkeys(Clarity, Party.INTERNAL)
_GREY = _INTERNAL | {Clarity.GREY: Party.VERATO}
_UNFOUND = _VERATO | {Clarity.CERTAIN: Party.INTERNAL}

STRATEGIES: Mapping[str, Strategy] = {
    "verato_first": Strategy(Party.VERATO, asks=_ALL, waits=True, authority=_VERATO),
    "internal_first": Strategy(
        Party.INTERNAL, asks=_ALL - {Clarity.CERTAIN}, waits=True, authority=_UNFOUND
    ),
    "grey_zone": Strategy(
        Party.INTERNAL, asks=frozenset({Clarity.GREY}), waits=True, authority=_GREY
    ),
    "shadow": Strategy(Party.INTERNAL, asks=_ALL, waits=False, authority=_INTERNAL),
}


def clarity_of(decision: Decision) -> Clarity:
    """How clear a decision of our own matching is."""
    if decision.outcome is Outcome.LINK:
        return Clarity.CERTAIN
    if decision.outcome is Outcome.REVIEW or in_doubt(decision):
        return Clarity.GREY
    return Clarity.NOBODY


def in_doubt(decision: Decision) -> tuple[ScoredPerson, ...]:
    """The persons who may or may not be the patient, the likeliest first.

    One whom people keep apart is in no doubt, and neither is one who is unlikely and vetoed as well.
    """
    best = decision.best
    named = set(decision.review)
    if best is not None and decision.outcome is Outcome.REVIEW:
        named.add(best.mpi_id)
    shown = decision.candidates or (() if best is None else (best,))
    return tuple(
        scored
        for scored in shown
        if NOT_SAME not in scored.vetoes
        and not scored.same_assertion
        and (scored.mpi_id in named or clarity_about(scored) is Clarity.GREY)
    )


def clarity_about(scored: ScoredPerson | None) -> Clarity:
    """How clear it is whether one person is the patient; None: not even possible."""
    if scored is None or scored.grade is Grade.CERTAINLY_NOT:
        return Clarity.NOBODY
    if scored.vetoes:
        return Clarity.NOBODY
    return Clarity.CERTAIN if scored.grade is Grade.CERTAIN else Clarity.GREY
