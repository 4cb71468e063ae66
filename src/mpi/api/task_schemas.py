"""The published form of what stewards say about tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from mpi.api.schemas import Command, MpiId, Reason

Outcome = Literal["same", "not-same", "new", "accept", "reject", "leave"]
_CANDIDATE = "The candidate that is meant; without it `not-same` is said of all."


class DecideRequest(Command):
    """A steward's answer to a task."""

    outcome: Outcome
    reason: Reason
    mpi_id: MpiId | None = Field(None, description=_CANDIDATE)


class TaskAnswer(Command):
    """One of many answers."""

    task_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    outcome: Outcome
    mpi_id: MpiId | None = Field(None, description=_CANDIDATE)
    version: int | None = Field(None, ge=1, description="The task's ETag, as `If-Match` has it.")


class DecideManyRequest(Command):
    """A steward's answers to many tasks."""

    decisions: Annotated[list[TaskAnswer], Field(min_length=1, max_length=1000)]
    reason: Reason
    preview: bool = Field(default=False, description="Say what would happen, and change nothing.")


def _written(value: object) -> object:
    """Pydantic would take a number, also one in text, for seconds since 1970."""
    if not isinstance(value, str) or "-" not in value[1:]:
        raise ValueError("a time is written as ISO 8601")
    return value


class DeferRequest(Command):
    """Put a task off."""

    until: Annotated[datetime, BeforeValidator(_written), Field(strict=False)] = Field(
        description="When it returns to the queue; without zone it is UTC.",
        examples=["2030-01-31T08:00:00Z"],
    )
    reason: Reason


class ReassignRequest(Command):
    """Hand a task to somebody else."""

    assignee: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        description="The name of a steward's key; null gives the task back to the queue."
    )
    reason: Reason
