"""Who is this? Matching one, many, searching and explaining."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from mpi.api.middleware import Kept
from mpi.api.problems import problem, responses
from mpi.api.rendering import (
    answer,
    body,
    body_of,
    completed,
    container,
    fields_of,
    request_id,
)
from mpi.api.requests import JOHN_SMITH, BatchRequest, ExplainRequest, MatchRequest, SearchRequest
from mpi.api.schemas import BatchAnswer, ExplanationView, MatchAnswer, SearchAnswer
from mpi.api.scope import BODY, PRINCIPAL, REQUEST_ID
from mpi.api.security import principal
from mpi.api.submissions import Batch, Row, parse_batch, parse_match, parse_pair, parse_search
from mpi.bootstrap.container import Container
from mpi.domain.record import Submission
from mpi.domain.registration import Warnings
from mpi.errors import MpiError
from mpi.service.access import Principal

router = APIRouter(tags=["who is this"])
NDJSON = "application/x-ndjson"

_EXAMPLE = {"patient_data": JOHN_SMITH, "source": "HOSP-A", "source_id": "0042"}


@router.post(
    "/mpi/match",
    summary="Say who a patient is, and register the record when it comes with its ids",
    responses={200: {"model": MatchAnswer}, **responses(409)},
    openapi_extra=body_of(MatchRequest, _EXAMPLE),
)
async def match(request: Request) -> Response:
    """Enrolls when `source` and `source_id` are given (see `MPI_ENROLL`); otherwise only asks."""
    form = body(request)
    parts, who = container(request), principal(request)
    asked = parse_match(form)
    enrolls = parts.index.enrolls(named=asked.submission.key is not None, wish=asked.enroll)
    who.require("submit" if enrolls else "read")
    found = await parts.index.resolve(
        asked.submission,
        enroll=asked.enroll,
        explain=asked.explain,
        actor=who.name,
        warnings=asked.warnings,
        form=form,
    )
    parts.metrics.decided(found.status)
    return answer(replace(found, request_id=request_id(request)))


def kept_match(parts: Container) -> Kept | None:
    """What the cache knows of ``POST /mpi/match``; None when nothing is kept in this process.

    Equal bodies are equal queries, so what was answered to one is found before the next is even read.
    """
    recall, metrics = parts.recall, parts.metrics
    tier = recall.tier if recall else None
    if recall is None or tier is None:
        return None

    async def find(scope: Scope) -> bytes | None:
        kept = await recall.find(scope[BODY])
        if kept is None:
            return None
        who: Principal = scope[PRINCIPAL]
        who.require("read")
        metrics.decided(kept.status)
        return completed(kept.body, scope[REQUEST_ID], tier)

    return find


@router.post(
    "/mpi/batch",
    summary="Match many; each row succeeds or fails alone",
    responses={
        200: {
            "model": BatchAnswer,
            "content": {NDJSON: {"schema": {"type": "string"}, "example": "{…}\n{…}\n"}},
        },
    },
    openapi_extra=body_of(
        BatchRequest, {"source": "HOSP-A", "patients": [JOHN_SMITH | {"source_id": "0042"}]}
    ),
)
async def batch(request: Request) -> Response:
    """Rows are taken in order and see the rows before them. `Accept: application/x-ndjson` streams.

    Whoever disconnects keeps what was committed; repeating the batch is safe.
    """
    parts = container(request)
    asked = parse_batch(body(request), parts.settings.batch_limit)
    who = principal(request)
    enrolls = parts.index.enrolls(named=asked.is_named, wish=asked.enroll)
    who.require("submit" if enrolls else "read")
    results = _results(request, asked, who.name)
    if NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(_lines(results, asked.warnings), media_type=NDJSON)
    started = perf_counter()
    rendered = [result async for result in results]
    return answer(
        {
            "results": rendered,
            "warnings": asked.warnings,
            "request_id": request_id(request),
            "processing_time_ms": round((perf_counter() - started) * 1000, 3),
        }
    )


@router.post(
    "/mpi/search",
    summary="Rank the persons that a patient may be; never registers anything",
    responses={200: {"model": SearchAnswer}},
    openapi_extra=body_of(SearchRequest, {"patient_data": JOHN_SMITH, "limit": 10}),
)
async def search(request: Request) -> Response:
    """Candidates show their id, weight, confidence, grade, vetoes and a provider's score: no patient data."""
    principal(request).require("read")
    submission, limit, warnings = parse_search(body(request))
    candidates, own = await container(request).index.search(submission, limit)
    return answer({"candidates": candidates, "warnings": (*warnings, *own)})


@router.post(
    "/mpi/explain",
    summary="Show the comparisons behind the weight of two records",
    responses={200: {"model": ExplanationView}, **responses(404, 410)},
    openapi_extra=body_of(
        ExplainRequest,
        {
            "left": {"source": "HOSP-A", "source_id": "0042"},
            "right": {"patient_data": JOHN_SMITH},
        },
    ),
)
async def explain(request: Request) -> Response:
    """Each side is a stored record by its ids, or patient data in full. The rows sum to the weight."""
    principal(request).require("read")
    left, right, warnings = parse_pair(body(request))
    found, own = await container(request).index.explain(left, right)
    return answer(fields_of(found) | {"warnings": (*warnings, *own)})


async def _results(request: Request, asked: Batch, actor: str) -> AsyncIterator[dict[str, Any]]:
    parts, name = container(request), request_id(request)
    waiting: deque[Row] = deque()

    def submissions() -> Iterator[Submission | MpiError]:
        for row in asked.rows():
            waiting.append(row)
            yield row.submission

    index = 0
    async for result in parts.index.batch(
        submissions(), enroll=asked.enroll, actor=actor, explain=asked.explain
    ):
        row = waiting.popleft()
        mark = {"index": index, "correlation_id": row.correlation_id, "request_id": name}
        if isinstance(result, MpiError):
            yield problem(result) | mark
        else:
            parts.metrics.decided(result.status)
            yield fields_of(result) | mark | {"warnings": (*row.warnings, *result.warnings)}
        parts.metrics.count("mpi_batch_rows_total")
        index += 1


async def _lines(
    results: AsyncIterator[dict[str, Any]], warnings: Warnings
) -> AsyncIterator[bytes]:
    """A line for each row. What stands beside the rows is told with the first: there is no other place for it."""
    async for result in results:
        if warnings:
            result["warnings"] = (*warnings, *result.get("warnings", ()))
            warnings = ()
        yield orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE)
