"""Answers as bytes, preconditions from headers, and the published schema of hand-read bodies."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from mpi.api.scope import BODY, REQUEST_ID
from mpi.bootstrap.container import Container
from mpi.domain.identity import ANY_VERSION
from mpi.errors import PreconditionFailed

_ETAG = re.compile(r'(?:W/)?"([1-9]\d{0,14})"')
JSON = "application/json"


def container(request: Request) -> Container:
    """The wired service behind the application."""
    found: Container = request.app.state.container
    return found


def request_id(request: Request) -> str:
    """The id under which this request is logged and answered."""
    return str(request.scope[REQUEST_ID])


def body(request: Request) -> bytes:
    """The body, which arrived whole before any route was asked."""
    found: bytes = request.scope[BODY]
    return found


def answer(value: object, *, etag: int | None = None) -> Response:
    """A value of the service as JSON; ``etag`` is the version that ``If-Match`` may name later."""
    headers = {} if etag is None else {"ETag": f'"{etag}"'}
    return Response(orjson.dumps(value), headers=headers, media_type=JSON)


def completed(kept: bytes, request_id: str, tier: str) -> bytes:
    """The JSON of a kept answer with what belongs to this request alone."""
    own = {"served_from": tier, "processing_time_ms": 0.0, "request_id": request_id}
    return orjson.dumps(own)[:-1] + b"," + kept[1:]


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, so that members can be added; deeper values stay as they are."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def if_match(request: Request) -> int | None:
    """The version a client insists on: ``ANY_VERSION`` for ``*``, None without the header."""
    given = request.headers.get("if-match")
    if given is None:
        return None
    if given.strip() == "*":
        return ANY_VERSION
    found = _ETAG.fullmatch(given.strip())
    if found is None:
        raise PreconditionFailed("If-Match must be an ETag that this service gave")
    return int(found[1])


def create_only(request: Request) -> bool:
    """Whether the client insists that there is nothing yet (``If-None-Match: *``)."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    if given.strip() != "*":
        raise PreconditionFailed("If-None-Match must be *")
    return True


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": description,
    }


IF_MATCH: dict[str, Any] = {
    "parameters": [_header("If-Match", "The ETag of a read: 412 when anything changed since.")]
}
"""The OpenAPI entry of a route that honours ``If-Match``."""

IF_MATCH_OR_NONE: dict[str, Any] = {
    "parameters": [
        *IF_MATCH["parameters"],
        _header("If-None-Match", "`*`: 412 when somebody has it already."),
    ]
}


def body_of(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI entry of a body that the route reads by hand."""
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}
    return {"requestBody": {"required": True, "content": {JSON: content}}}
