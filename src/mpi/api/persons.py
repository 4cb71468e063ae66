"""Persons: the golden record, its records and history, and merging."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from mpi.api.command_bodies import MergeRequest
from mpi.api.problems import TAGGED, responses
from mpi.api.rendering import IF_MATCH, answer, container, if_match
from mpi.api.requests import shown
from mpi.api.schemas import ChangeAnswer, EventList, PersonView
from mpi.api.security import Reader, Steward

router = APIRouter(tags=["persons"])
_MERGE = {"retire": "MPI-000005MMR", "reason": "Same passport; she married between the visits"}
MpiId = Annotated[str, Path(description="The person; a retired id answers with its survivor.")]


@router.get(
    "/mpi/persons/{mpi_id}",
    summary="Read a person",
    responses={200: {"model": PersonView, **TAGGED}, **responses(404, 410, 422)},
)
async def get_person(
    request: Request,
    mpi_id: MpiId,
    _: Reader,
    as_of: Annotated[
        datetime | None, Query(description="As it stood then; without zone it is UTC.")
    ] = None,
) -> Response:
    """The golden record, the records behind it, and every number the patient goes by.

    With `as_of` the same for the person that this id named then, without tasks and ETag: the past cannot be changed.
    """
    if as_of is not None and as_of.tzinfo is None:
        as_of = as_of.replace(tzinfo=UTC)
    person = await container(request).index.person(mpi_id, as_of)
    return answer(person, etag=person.version if as_of is None else None)


@router.get(
    "/mpi/persons/{mpi_id}/history",
    summary="Read what happened to a person",
    responses={200: {"model": EventList, **TAGGED}, **responses(404, 422)},
)
async def get_history(request: Request, mpi_id: MpiId, _: Reader) -> Response:
    """Every event that touched it, the oldest first; also for a retired person.

    The ETag is the version of the person that it is now, for `undo`.
    """
    index = container(request).index
    events, version = await index.history(mpi_id), await index.person_version(mpi_id)
    return answer({"events": events, "next": events[-1].seq if events else 0}, etag=version)


@router.post(
    "/mpi/persons/{mpi_id}/merge",
    summary="Merge another person into this one",
    responses={200: {"model": ChangeAnswer}, **responses(404, 409, 410, 412)},
    openapi_extra=IF_MATCH | shown(_MERGE),
)
async def merge_persons(
    request: Request,
    mpi_id: MpiId,
    asked: MergeRequest,
    who: Steward,
) -> Response:
    """The retired id stays an alias for ever. Honours `If-Match`; `undo` of the event unmerges."""
    change = await container(request).stewardship.merge(
        mpi_id,
        asked.retire,
        reason=asked.reason,
        actor=who.name,
        override=asked.override,
        if_match=if_match(request),
    )
    return answer(change)
