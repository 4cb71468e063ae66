"""One registration: register, read, retire, move, replace. The ids stand in the path, as in FHIR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Path
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from mpi.api.command_bodies import AssertionRequest, LookupRequest, MoveRequest, ReplaceRequest
from mpi.api.problems import TAGGED, responses
from mpi.api.rendering import (
    IF_MATCH,
    IF_MATCH_OR_NONE,
    answer,
    body,
    body_of,
    container,
    create_only,
    if_match,
    request_id,
)
from mpi.api.requests import JOHN_SMITH, RegisterRequest, shown
from mpi.api.schemas import ChangeAnswer, MatchAnswer, RecordView
from mpi.api.security import Reader, Steward, Submitter
from mpi.api.submissions import parse_registration
from mpi.domain.intake import parse_key
from mpi.domain.record import RecordKey
from mpi.errors import InvalidInput, NotFound

router = APIRouter(tags=["records"])


class _AnyText(PathConvertor):
    """A part of a path with whatever is in it: for ``path`` it would end before a line break."""

    regex = "(?s:.*)"


register_url_convertor("text", _AnyText())
_PATH = "/mpi/records/{source:text}/{source_id:text}"
_LOOKUP = {"source": "HOSP-A", "source_id": "0042"}
_MOVE = {"to": "new", "reason": "Father and son share the name; the birth dates differ"}
_REPLACE = {"by": "0107", "reason": "The clinic found its number twice and keeps 0107"}
_ASSERTION = {
    "kind": "not-same",
    "records": [["HOSP-A", "0042"], ["LAB-B", "7731"]],
    "reason": "Twins: the clinic has seen both",
}
Source = Annotated[
    str,
    Path(description="The registering system; a slash in it as `%2F`.", examples=["HOSP-A"]),
]
SourceId = Annotated[str, Path(description="Its number for the patient.", examples=["0042"])]


def record_key(source: str, source_id: str) -> RecordKey:
    """The key that two ids name; ``InvalidInput`` when one is empty or too long."""
    key = parse_key(source, source_id)
    if key is None:
        raise InvalidInput("source and source_id are needed")
    return key


def _named_before(action: bytes = b"") -> Callable[[Request, str, str], RecordKey]:
    """A dependency: the record that a path names before an action such as ``/move``."""

    def named(request: Request, source: Source, source_id: SourceId) -> RecordKey:
        """Its ids, as routing took them, are published and otherwise unused."""
        del source, source_id
        return _named(request.scope["raw_path"].removesuffix(action))

    return named


def _named(path: bytes) -> RecordKey:
    """Routing sees a path decoded, where a slash within a source (``%2F``) looks like the one behind it."""
    _, *parts = path.decode("ascii", "replace").split("/", 4)
    if [unquote(part) for part in parts[:2]] != ["mpi", "records"] or len(parts) < 4:
        raise NotFound(
            "no record is named: the path needs a source and, behind a slash, a source_id"
        )
    try:
        # Strictly: with a sign in the place of what cannot be read, two numbers would be one.
        return record_key(*(unquote(part, errors="strict") for part in parts[2:]))
    except UnicodeDecodeError:
        raise InvalidInput("the ids in the path are not UTF-8") from None


Named = Annotated[RecordKey, Depends(_named_before())]


@router.post(
    "/mpi/records/lookup",
    summary="Read one registration, its ids in the body",
    responses={200: {"model": RecordView, **TAGGED}, **responses(404, 410)},
    openapi_extra=shown(_LOOKUP),
)
async def lookup_record(request: Request, asked: LookupRequest, _: Reader) -> Response:
    """As `GET /mpi/records/…`, for those who keep numbers out of addresses."""
    return await _read(request, record_key(asked.source, asked.source_id))


@router.post(
    _PATH + "/move",
    summary="Take one record out of its person",
    responses={200: {"model": ChangeAnswer}, **responses(404, 409, 410, 412)},
    openapi_extra=IF_MATCH | shown(_MOVE),
)
async def move_record(
    request: Request,
    key: Annotated[RecordKey, Depends(_named_before(b"/move"))],
    asked: MoveRequest,
    who: Steward,
) -> Response:
    """To another person, or to a new one. Honours `If-Match` (the record's ETag); `undo` reverses it."""
    change = await container(request).stewardship.move(
        key,
        asked.to,
        reason=asked.reason,
        actor=who.name,
        override=asked.override,
        if_match=if_match(request),
    )
    return answer(change)


@router.post(
    _PATH + "/replace",
    summary="One number of a patient was replaced by another",
    responses={200: {"model": ChangeAnswer}, **responses(404, 409, 410, 412)},
    openapi_extra=IF_MATCH | shown(_REPLACE),
)
async def replace_number(
    request: Request,
    key: Annotated[RecordKey, Depends(_named_before(b"/replace"))],
    asked: ReplaceRequest,
    who: Steward,
) -> Response:
    """The registration is retired; its person and that of the other number of the same source are one.

    There is no undo of it as a whole: the merge has an event of its own in the feed, which can be undone where other
    registrations moved with it, and the number that was retired can be registered again.

    Honours `If-Match` (the ETag of the registration that is retired).
    """
    left = record_key(key.source, asked.by)
    change = await container(request).stewardship.replace_number(
        key,
        left.source_id,
        reason=asked.reason,
        actor=who.name,
        override=asked.override,
        if_match=if_match(request),
    )
    return answer(change)


@router.put(
    _PATH,
    summary="Register a patient, or replace the whole registration",
    responses={200: {"model": MatchAnswer}, **responses(409, 412)},
    openapi_extra=body_of(RegisterRequest, {"patient_data": JOHN_SMITH}) | IF_MATCH_OR_NONE,
)
async def put_record(request: Request, key: Named, who: Submitter) -> Response:
    """Repeating the same content changes nothing (`event_id: null`).

    Honours `If-Match` (the ETag of a read: nothing about the person has changed since) and `If-None-Match: *`
    (nobody has registered the record yet).
    """
    asked = parse_registration(body(request), key)
    found = await container(request).index.resolve(
        asked.submission,
        enroll=True,
        explain=asked.explain,
        actor=who.name,
        if_match=if_match(request),
        create_only=create_only(request),
        warnings=asked.warnings,
    )
    container(request).metrics.decided(found.status)
    return answer(replace(found, request_id=request_id(request)))


@router.get(
    _PATH,
    summary="Read one registration",
    responses={200: {"model": RecordView, **TAGGED}, **responses(404, 410, 422)},
)
async def get_record(
    request: Request,
    key: Named,
    _: Reader,
) -> Response:
    """The current version and the person it belongs to. The ETag is the version of that person."""
    return await _read(request, key)


@router.delete(
    _PATH,
    summary="Retire one registration",
    responses={200: {"model": ChangeAnswer}, **responses(404, 410, 412, 422)},
    openapi_extra=IF_MATCH,
)
async def delete_record(
    request: Request,
    key: Named,
    who: Submitter,
) -> Response:
    """It is no evidence any more; its history stays, and registering it again revives it. Honours `If-Match`."""
    change = await container(request).index.delete_record(
        key, actor=who.name, if_match=if_match(request)
    )
    return answer(change)


@router.post(
    "/mpi/assertions",
    summary="Say that two records are, or are not, the same person",
    responses={200: {"model": ChangeAnswer}, **responses(404, 409, 410)},
    openapi_extra=shown(_ASSERTION),
)
async def assert_pair(
    request: Request,
    asked: AssertionRequest,
    who: Steward,
) -> Response:
    """A human decision that outranks the model, also after re-matching, training and loading."""
    left, right = (record_key(*pair) for pair in asked.records)
    change = await container(request).stewardship.assert_pair(
        asked.kind, left, right, reason=asked.reason, actor=who.name, override=asked.override
    )
    return answer(change)


async def _read(request: Request, key: RecordKey) -> Response:
    record = await container(request).index.get_record(key)
    return answer(record, etag=record.person_version)
