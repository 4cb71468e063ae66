"""The published form of answers: what OpenAPI shows and what clients generate from."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Published(BaseModel):
    """Answers: read by clients, never parsed by us."""

    model_config = ConfigDict(extra="forbid")


class Problem(_Published):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; programs should act on this.")
    retryable: bool
    request_id: str | None = None


class RecordRef(_Published):
    """Names a registration."""

    source: str
    source_id: str


class Warned(_Published):
    """A submitted trait that could not be used as given; the value itself is kept, not repeated."""

    field: str
    code: str


class Candidate(_Published):
    """A person that the submission may be."""

    mpi_id: str
    match_weight: float
    confidence: float
    grade: str
    vetoes: list[str] = []


class ExplanationRow(_Published):
    """One addend of the weight, in bits."""

    trait: str
    level: str
    weight: float
    kind: Literal["prior", "comparison", "term_frequency", "relatives"]
    record: list[str] | None = Field(description="The record compared with: source and id.")


class ExplanationView(_Published):
    """Rows that sum to ``match_weight``."""

    mpi_id: str | None
    rows: list[ExplanationRow]
    match_weight: float
    confidence: float
    grade: str
    vetoes: list[str]
    warnings: list[Warned] = Field(
        default=[],
        description="Of two records that were asked about; a field is named after its side, as in "
        "`left.ssn`. Within another answer they stand beside the explanation.",
    )


class ProviderIds(_Published):
    """The person's id at outside providers."""

    verato: str | None


class MatchAnswer(_Published):
    """Who the submission is."""

    mpi_id: str | None
    status: Literal["matched", "created", "review", "no_match"]
    confidence: float | None = Field(description="A calibrated probability, or null.")
    match_weight: float | None = Field(description="Log2 odds, prior included.")
    grade: str | None
    provider: str
    served_from: Literal["memory", "redis", "mongodb", "provider"]
    model_version: str | None
    processing_time_ms: float
    request_id: str
    event_id: str | None
    task_id: str | None
    source: str | None
    source_id: str | None
    provisional: bool
    provider_ids: ProviderIds
    provider_score: float | None
    reason: str | None
    warnings: list[Warned]
    candidates: list[Candidate]
    explanation: ExplanationView | None


class BatchRow(MatchAnswer):
    """The answer to one row, with its place and the client's own mark."""

    index: int
    correlation_id: str | None = None


class BatchProblem(Problem):
    """A row that failed alone. The first row of a stream tells in ``warnings`` of what stands beside the rows."""

    index: int
    correlation_id: str | None = None
    warnings: list[Warned] = []


class BatchAnswer(_Published):
    """One result per row, in order."""

    results: list[BatchRow | BatchProblem]
    warnings: list[Warned] = Field(
        description="Of what stands beside the rows; a row has its own. A stream tells them with its first row."
    )
    request_id: str
    processing_time_ms: float


class LikelyPerson(_Published):
    """A person that a search has found. Where a provider elsewhere searches, only its score tells how likely it is."""

    mpi_id: str
    match_weight: float | None
    confidence: float | None
    grade: str
    vetoes: list[str] = []
    provider_score: float | None


class SearchAnswer(_Published):
    """Persons, the likeliest first."""

    candidates: list[LikelyPerson]
    warnings: list[Warned]


class RecordView(_Published):
    """One registration as it stands."""

    source: str
    source_id: str
    status: str
    version: int
    mpi_id: str | None
    recorded_at: datetime | None
    received_at: datetime
    patient_data: dict[str, Any]
    warnings: list[Warned]
    pending: bool
    person_version: int | None = Field(description="The ETag: the version of its person.")
    proposed: dict[str, Any] | None = Field(
        description="What the version that waits for a steward says; null in lists of registrations."
    )


class PersonView(_Published):
    """A person: its one view, its records and every number it goes by."""

    mpi_id: str
    requested_mpi_id: str
    version: int
    status: str
    golden_record: dict[str, Any]
    records: list[RecordView]
    crosswalk: list[list[str]]
    tasks: list[str]


class MoveView(_Published):
    """A record that changed hands; ``to`` is "new" for a person that was minted for it."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    record: list[str] = Field(description="Source and id.")
    origin: str | None = Field(alias="from")
    to: str | None


class QuestionView(_Published):
    """A task that a previewed change would open."""

    record: list[str]
    candidates: list[str]
    reason: str


class ChangeDetail(_Published):
    """The moves of a change; of an undo the events undone, the newest first; of a preview the tasks."""

    model_config = ConfigDict(extra="allow")
    moves: list[MoveView] = []
    undone: list[str] = []
    tasks: list[QuestionView] = []


class ChangeAnswer(_Published):
    """What a change of identity did."""

    model_config = ConfigDict(extra="allow")
    event_id: str | None
    mpi_id: str | None
    retired: list[str] = []
    task_ids: list[str] = []
    preview: bool = False
    detail: ChangeDetail


class DecidedTask(ChangeAnswer):
    """What one of many answers did."""

    task_id: str


class TaskProblem(Problem):
    """An answer that could not be taken; the others stand."""

    task_id: str


class DecideManyAnswer(_Published):
    """One result per decision, in order."""

    results: list[DecidedTask | TaskProblem]
    preview: bool


class TaskView(_Published):
    """A question for a steward."""

    task_id: str
    version: int
    kind: str
    status: str
    record: RecordRef
    candidates: list[str]
    weight: float | None
    reason: str
    opened_at: datetime
    assignee: str | None
    outcome: str | None
    decided_at: datetime | None
    deferred_until: datetime | None


class TaskList(_Published):
    """A page of the queue; pass ``next`` as ``after`` for the following one."""

    tasks: list[TaskView]
    next: str | None


class EventView(_Published):
    """One line of the append-only history."""

    model_config = ConfigDict(extra="allow")
    seq: int
    event_id: str
    kind: str
    at: datetime
    actor: str
    reason: str | None
    persons: list[str]


class EventList(_Published):
    """A page of the feed; pass ``next`` as ``after`` for the following one."""

    events: list[EventView]
    next: int


class Alive(_Published):
    """The process answers."""

    status: Literal["ok"]


class PartHealth(_Published):
    """One part that the service depends on."""

    status: Literal["ok", "failing"]
    critical: bool = Field(description="Whether nothing can be served without it.")
    code: str | None
    detail: str | None = Field(description="What is wrong, and the remedy where one is known.")
    latency_ms: float


class Ready(_Published):
    """Everything is answered; ``degraded`` means more slowly, because a part fails that is not critical."""

    status: Literal["ok", "degraded"]
    parts: dict[str, PartHealth]
    provider: str
    store: str
    model_version: str
    demo: bool = Field(description="Whether the index holds made-up patients.")
    position: int = Field(description="The last event.")


class Unready(_Published):
    """A critical part does not work."""

    status: Literal["unavailable"]
    code: str = Field(description="That of the first critical part that fails.")
    parts: dict[str, PartHealth]
