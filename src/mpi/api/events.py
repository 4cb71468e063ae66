"""The feed of identity changes, and taking one back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from mpi.api.command_bodies import UndoRequest
from mpi.api.problems import responses
from mpi.api.rendering import IF_MATCH, answer, container, if_match
from mpi.api.requests import shown
from mpi.api.schemas import ChangeAnswer, EventList
from mpi.api.security import Reader, Steward

router = APIRouter(tags=["events"])
_UNDO = {"reason": "The two are cousins of the same name"}


@router.get(
    "/mpi/events",
    summary="Follow the changes of identity",
    responses={200: {"model": EventList}, **responses(409, 422)},
)
async def list_events(
    request: Request,
    _: Reader,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="The page before's `next`.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    """In the order they happened. Ask again with `next` as `after`; an empty page means "so far".

    409 when the feed ends before `after`, with its `last` event: the index was restored to an earlier state.
    """
    events = await container(request).index.events(after, limit)
    return answer({"events": events, "next": events[-1].seq if events else after})


@router.post(
    "/mpi/events/{event_id}/undo",
    summary="Reverse one event exactly",
    responses={200: {"model": ChangeAnswer}, **responses(404, 409, 410, 412)},
    openapi_extra=IF_MATCH | shown(_UNDO),
)
async def undo_event(
    request: Request,
    event_id: str,
    asked: UndoRequest,
    who: Steward,
) -> Response:
    """Records go back to where the event took them from; those that came later stay, a task if that is in doubt.

    Undoing a link or a merge keeps both sides apart; undoing that undo lifts it. Later human decisions about the
    same records: 409 with their `events`, or with `cascade` they are undone first, the newest first, all or
    nothing. Honours `If-Match`: the ETag of the person that holds the records.
    """
    change = await container(request).stewardship.undo(
        event_id,
        reason=asked.reason,
        actor=who.name,
        cascade=asked.cascade,
        preview=asked.preview,
        if_match=if_match(request),
    )
    return answer(change)
