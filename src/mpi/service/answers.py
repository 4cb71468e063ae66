"""What the service answers: plain values that serialise as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import orjson

from mpi.domain.identity import PersonState, StoredRecord, Task, TaskKind
from mpi.domain.record import Demographics, Guarded, TraitWarning
from mpi.domain.survivorship import golden_record
from mpi.matching.decision import Explanation, Grade, Outcome, ScoredPerson
from mpi.ports import KeptAnswer, Likely, Provider, Resolution


@dataclass(frozen=True, slots=True)
class CandidateView:
    """A person that a submission may be; no demographics, so that a guess reveals nothing."""

    mpi_id: str
    match_weight: float
    confidence: float
    grade: str
    vetoes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LikelyView:
    """A person that a search has found: weight and confidence are ours, the score is a provider's."""

    mpi_id: str
    match_weight: float | None
    confidence: float | None
    grade: str
    vetoes: tuple[str, ...]
    provider_score: float | None


@dataclass(frozen=True, slots=True, repr=False)
class MatchAnswer(Guarded):
    """Who the submission is, how sure that is, and what was done."""

    mpi_id: str | None
    status: str  # matched, created, review, no_match
    confidence: float | None = None
    match_weight: float | None = None
    grade: str | None = None
    provider: str = "internal"
    served_from: str = "provider"
    model_version: str | None = None
    processing_time_ms: float = 0.0
    request_id: str = ""
    event_id: str | None = None
    task_id: str | None = None
    source: str | None = None
    source_id: str | None = None
    provisional: bool = False
    provider_ids: dict[str, str | None] = field(default_factory=lambda: {"verato": None})
    provider_score: float | None = None
    reason: str | None = None
    warnings: tuple[TraitWarning, ...] = ()
    candidates: tuple[CandidateView, ...] = ()
    explanation: Explanation | None = None


@dataclass(frozen=True, slots=True, repr=False)
class RecordView(Guarded):
    """One registration as it stands; ``pending`` says that a newer version waits for a steward.

    ``proposed`` is what that version says; None where several registrations are shown.
    ``person_version`` is the version of the person that holds it: what ``If-Match`` compares.
    """

    source: str
    source_id: str
    status: str
    version: int
    mpi_id: str | None
    recorded_at: datetime | None
    received_at: datetime
    patient_data: Demographics
    warnings: tuple[TraitWarning, ...]
    pending: bool
    person_version: int | None
    proposed: Demographics | None = None


@dataclass(frozen=True, slots=True, repr=False)
class PersonView(Guarded):
    """A person: golden record, records, every number it goes by, and what waits for a steward."""

    mpi_id: str
    requested_mpi_id: str
    version: int
    status: str
    golden_record: Demographics
    records: tuple[RecordView, ...]
    crosswalk: tuple[tuple[str, str], ...]
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangeAnswer:
    """What a change of identity did; with ``preview`` what it would do."""

    event_id: str | None
    mpi_id: str | None
    retired: tuple[str, ...] = ()
    task_ids: tuple[str, ...] = ()
    preview: bool = False
    detail: dict[str, Any] = field(default_factory=dict)


def match_answer(
    record: StoredRecord,
    provider: Provider,
    found: Resolution | None,
    status: str,
    mpi_id: str | None,
    *,
    warnings: Sequence[TraitWarning] = (),
    explanation: Explanation | None = None,
) -> MatchAnswer:
    """What was found (None: nothing was asked), as clients see it. The ``warnings`` come before those of the record."""
    decision = found.decision if found else None
    told = (found.told if found else None) or record.told
    best = decision.best if decision else None
    model = found.model if found else None
    # Whoever decided has the word: a provider says that it is certain, and gives no probability.
    by_provider = bool(found and found.told and found.decision.outcome is Outcome.LINK)
    ours = None if by_provider else best
    return MatchAnswer(
        mpi_id=mpi_id,
        status=status,
        confidence=ours.confidence if ours else None,
        match_weight=best.weight if best else None,
        grade=Grade.CERTAIN if by_provider else ours.grade if ours else None,
        provider=provider.name,
        model_version=model.version if model else provider.version,
        provider_ids={"verato": told.link_id if told else None},
        provider_score=told.score if told else None,
        provisional=found.provisional if found else False,
        reason=decision.reason if decision else None,
        warnings=(*warnings, *[TraitWarning(*warning) for warning in record.warnings]),
        candidates=tuple(candidate_view(c) for c in decision.candidates) if decision else (),
        explanation=explanation,
    )


def candidate_view(scored: ScoredPerson) -> CandidateView:
    """A scored person as clients see it."""
    return CandidateView(
        scored.mpi_id, scored.weight, scored.confidence, scored.grade, scored.vetoes
    )


def likely_view(found: Likely) -> LikelyView:
    """A person of a search as clients see it."""
    return LikelyView(
        found.mpi_id, found.weight, found.confidence, found.grade, found.vetoes, found.score
    )


def record_view(
    record: StoredRecord,
    *,
    person_version: int | None,
    pending: bool = False,
    proposed: StoredRecord | None = None,
) -> RecordView:
    """A stored record as clients see it, with the version that is ``proposed`` for it, if any."""
    return RecordView(
        source=record.key.source,
        source_id=record.key.source_id,
        status=record.status,
        version=record.version,
        mpi_id=record.mpi_id,
        recorded_at=record.recorded_at,
        received_at=record.received_at,
        patient_data=record.demographics,
        warnings=tuple(TraitWarning(*warning) for warning in record.warnings),
        pending=pending or proposed is not None,
        person_version=person_version,
        proposed=proposed.demographics if proposed else None,
    )


def person_view(state: PersonState, asked: str, tasks: Sequence[Task]) -> PersonView:
    """A person as clients see it who asked for one of its ids, with the undecided tasks about it."""
    in_question = {task.record for task in tasks if task.kind is TaskKind.OVERLAY}
    return PersonView(
        mpi_id=state.mpi_id,
        requested_mpi_id=asked,
        version=state.version,
        status="active",
        golden_record=golden_record(state.records),
        records=tuple(
            record_view(r, person_version=state.version, pending=r.key in in_question)
            for r in state.records
        ),
        crosswalk=tuple((r.key.source, r.key.source_id) for r in state.records),
        tasks=tuple(task.task_id for task in tasks),
    )


_OF_ONE_REQUEST = frozenset({"request_id", "processing_time_ms", "served_from"})
_KEPT = tuple(f.name for f in fields(MatchAnswer) if f.name not in _OF_ONE_REQUEST)


def kept_body(answer: MatchAnswer) -> bytes:
    """What of an answer may be given to another request, as a JSON object."""
    return orjson.dumps({name: getattr(answer, name) for name in _KEPT})


def restored(kept: KeptAnswer, tier: str) -> MatchAnswer:
    """A kept answer as it was, but for what belongs to one request."""
    members = orjson.loads(kept.body)
    warnings = tuple(TraitWarning(**warning) for warning in members.pop("warnings"))
    candidates = tuple(
        CandidateView(**candidate | {"vetoes": tuple(candidate["vetoes"])})
        for candidate in members.pop("candidates")
    )
    return MatchAnswer(served_from=tier, warnings=warnings, candidates=candidates, **members)
