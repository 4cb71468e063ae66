"""The review queue: what the model would not decide alone."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from mpi.api.command_bodies import DecideManyRequest, DecideRequest, DeferRequest, ReassignRequest
from mpi.api.problems import TAGGED, problem, responses
from mpi.api.rendering import IF_MATCH, answer, container, fields_of, if_match, request_id
from mpi.api.requests import shown
from mpi.api.schemas import ChangeAnswer, DecideManyAnswer, TaskList, TaskView
from mpi.api.security import Reader, Steward
from mpi.domain.identity import TaskStatus
from mpi.errors import MpiError
from mpi.service.stewardship import TaskDecision

router = APIRouter(tags=["tasks"])
_DEFER = {"until": "2030-01-31T08:00:00Z", "reason": "The clinic looks for the admission form"}
_REASSIGN = {"assignee": "night-desk", "reason": "Knows this clinic's records"}
_DECIDE = {"outcome": "same", "mpi_id": "MPI-000004MH7", "reason": "Confirmed by telephone"}
_DECIDE_MANY = {
    "decisions": [
        {"task_id": "TSK-000000112", "outcome": "same", "mpi_id": "MPI-000004MH7", "version": 1},
        {"task_id": "TSK-00000012Y", "outcome": "not-same"},
    ],
    "reason": "Compared with the admission forms",
    "preview": True,
}


@router.get(
    "/mpi/tasks",
    summary="List tasks, the oldest first",
    responses={200: {"model": TaskList}, **responses(422)},
)
async def list_tasks(
    request: Request,
    _: Reader,
    status: Annotated[TaskStatus | None, Query(description="Only these.")] = None,
    after: Annotated[
        str | None, Query(max_length=64, description="The page before's `next`.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Pass `next` as `after` for the following page; null means that this was the last.

    Asked for by `status`, a deferred task stays out until its time.
    """
    tasks = await container(request).stewardship.tasks(status, after, limit)
    return answer({"tasks": tasks, "next": tasks[-1].task_id if len(tasks) == limit else None})


@router.get(
    "/mpi/tasks/{task_id}",
    summary="Read one task",
    responses={200: {"model": TaskView, **TAGGED}, **responses(404, 422)},
)
async def get_task(request: Request, task_id: str, _: Reader) -> Response:
    """Its ETag is the version that every change of the task may insist on."""
    task = await container(request).stewardship.task(task_id)
    return answer(task, etag=task.version)


@router.post(
    "/mpi/tasks/{task_id}/claim",
    summary="Take a task",
    responses={200: {"model": TaskView, **TAGGED}, **responses(404, 409, 412, 422)},
    openapi_extra=IF_MATCH,
)
async def claim_task(request: Request, task_id: str, who: Steward) -> Response:
    """So that two stewards do not work on the same case. Honours `If-Match`."""
    task = await container(request).stewardship.claim(
        task_id, actor=who.name, if_match=if_match(request)
    )
    return answer(task, etag=task.version)


@router.post(
    "/mpi/tasks/{task_id}/defer",
    summary="Put a task off",
    responses={200: {"model": TaskView, **TAGGED}, **responses(404, 409, 412)},
    openapi_extra=IF_MATCH | shown(_DEFER),
)
async def defer_task(request: Request, task_id: str, asked: DeferRequest, who: Steward) -> Response:
    """It leaves the queue until that time and keeps its holder. Honours `If-Match`."""
    until = asked.until if asked.until.tzinfo else asked.until.replace(tzinfo=UTC)
    task = await container(request).stewardship.defer(
        task_id, until, reason=asked.reason, actor=who.name, if_match=if_match(request)
    )
    return answer(task, etag=task.version)


@router.post(
    "/mpi/tasks/{task_id}/reassign",
    summary="Hand a task to somebody else",
    responses={200: {"model": TaskView, **TAGGED}, **responses(404, 409, 412)},
    openapi_extra=IF_MATCH | shown(_REASSIGN),
)
async def reassign_task(
    request: Request, task_id: str, asked: ReassignRequest, who: Steward
) -> Response:
    """Whoever holds it; null gives it back to the queue. Ends a deferral. Honours `If-Match`."""
    task = await container(request).stewardship.reassign(
        task_id, asked.assignee, reason=asked.reason, actor=who.name, if_match=if_match(request)
    )
    return answer(task, etag=task.version)


@router.post(
    "/mpi/tasks/decide",
    summary="Decide many tasks, or see what that would do",
    responses={200: {"model": DecideManyAnswer}},
    openapi_extra=shown(_DECIDE_MANY),
)
async def decide_tasks(request: Request, asked: DecideManyRequest, who: Steward) -> Response:
    """In order, each by itself: a result or a problem per decision. `preview` changes nothing."""
    decisions = [TaskDecision(d.task_id, d.outcome, d.mpi_id, d.version) for d in asked.decisions]
    answers = await container(request).stewardship.decide_all(
        decisions, actor=who.name, reason=asked.reason, preview=asked.preview
    )
    name = request_id(request)
    results = [
        (problem(a, name) if isinstance(a, MpiError) else fields_of(a)) | {"task_id": d.task_id}
        for d, a in zip(decisions, answers, strict=True)
    ]
    return answer({"results": results, "preview": asked.preview})


@router.post(
    "/mpi/tasks/{task_id}/decide",
    summary="Decide a task",
    responses={200: {"model": ChangeAnswer}, **responses(404, 409, 410, 412)},
    openapi_extra=IF_MATCH | shown(_DECIDE),
)
async def decide_task(
    request: Request, task_id: str, asked: DecideRequest, who: Steward
) -> Response:
    """`same` and `not-same` are remembered for ever. Honours `If-Match`; `undo` reverses it and asks again."""
    change = await container(request).stewardship.decide(
        task_id,
        asked.outcome,
        actor=who.name,
        reason=asked.reason,
        mpi_id=asked.mpi_id,
        if_match=if_match(request),
    )
    return answer(change)
