"""The published form of bodies that carry a decision; FastAPI reads them by these models.

Bodies with patient data are in :mod:`mpi.api.requests`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from mpi.domain.intake import MAX_SOURCE, MAX_SOURCE_ID


class _Command(BaseModel):
    """Bodies that carry a decision: an unknown field may be a misspelt one, so it is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


SourceName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_SOURCE)]
SourceId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_SOURCE_ID)]
MpiId = Annotated[str, StringConstraints(min_length=1, max_length=32)]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
KeyPair = Annotated[list[str], Field(min_length=2, max_length=2, examples=[["HOSP-A", "0042"]])]
Outcome = Literal["same", "not-same", "new", "accept", "reject", "leave"]
_CANDIDATE = "The candidate that is meant; without it `not-same` is said of all."


class MergeRequest(_Command):
    """Merge the person ``retire`` into the one of the path; its id stays an alias for ever."""

    retire: MpiId
    reason: Reason
    override: bool = Field(default=False, description="Merge although an assertion says not-same.")


class MoveRequest(_Command):
    """Take one record out of its person."""

    to: MpiId = Field(description='The person to move it to, or "new".')
    reason: Reason
    override: bool = Field(default=False, description="Move although assertions say otherwise.")


class ReplaceRequest(_Command):
    """Replace one number of a patient by another."""

    by: SourceId = Field(description="The number that is left, of the same source.")
    reason: Reason
    override: bool = False


class AssertionRequest(_Command):
    """A human decision about two records that outranks the model."""

    kind: Literal["same", "not-same"]
    records: Annotated[list[KeyPair], Field(min_length=2, max_length=2)]
    reason: Reason
    override: bool = False


class UndoRequest(_Command):
    """Reverse one event exactly."""

    reason: Reason
    cascade: bool = Field(
        default=False, description="Also undo the later decisions that build on it."
    )
    preview: bool = Field(default=False, description="Say what would happen, and change nothing.")


class LookupRequest(_Command):
    """Names a record in the body, so that its number appears in no address."""

    source: SourceName
    source_id: SourceId


class DecideRequest(_Command):
    """A steward's answer to a task."""

    outcome: Outcome
    reason: Reason
    mpi_id: MpiId | None = Field(None, description=_CANDIDATE)


class TaskAnswer(_Command):
    """One of many answers."""

    task_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    outcome: Outcome
    mpi_id: MpiId | None = Field(None, description=_CANDIDATE)
    version: int | None = Field(None, ge=1, description="The task's ETag, as `If-Match` has it.")


class DecideManyRequest(_Command):
    """A steward's answers to many tasks."""

    decisions: Annotated[list[TaskAnswer], Field(min_length=1, max_length=1000)]
    reason: Reason
    preview: bool = Field(default=False, description="Say what would happen, and change nothing.")


def _written(value: object) -> object:
    """Pydantic would take a number, also one in text, for seconds since 1970."""
    if not isinstance(value, str) or "-" not in value[1:]:
        raise ValueError("a time is written as ISO 8601")
    return value


class DeferRequest(_Command):
    """Put a task off."""

    until: Annotated[datetime, BeforeValidator(_written), Field(strict=False)] = Field(
        description="When it returns to the queue; without zone it is UTC.",
        examples=["2030-01-31T08:00:00Z"],
    )
    reason: Reason


class ReassignRequest(_Command):
    """Hand a task to somebody else."""

    assignee: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        description="The name of a steward's key; null gives the task back to the queue."
    )
    reason: Reason
