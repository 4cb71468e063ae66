"""Every error as ``application/problem+json`` (RFC 9457) with a stable ``code``.

No submitted value is ever echoed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mpi.api.scope import REQUEST_ID
from mpi.errors import (
    ConcurrentChange,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    Gone,
    InvalidInput,
    MalformedBody,
    MpiError,
    NotFound,
    PayloadTooLarge,
    PreconditionFailed,
    ProviderRefusal,
    ProviderUnavailable,
    StoreUnavailable,
    Unauthorized,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "1"

_FIXED_MEMBERS = frozenset({"type", "title", "status", "detail", "code", "request_id", "retryable"})


class MethodNotAllowed(MpiError):
    """The route exists, for other methods."""

    code, status, title = "method_not_allowed", 405, "The method is not supported here"


class RequestTimeout(MpiError):
    """The client did not deliver its body in time."""

    code, status, title, retryable = "request_timeout", 408, "The request came too slowly", True


class Overloaded(MpiError):
    """Others use up what the service may take of something; repeat later."""

    code, status, title, retryable = "overloaded", 503, "The service is overloaded", True


class Stopping(MpiError):
    """The service ends, and has waited for the answer for as long as it may."""

    code, status, title, retryable = "stopping", 503, "The service is stopping", True


class UnsupportedMediaType(MpiError):
    """The body is not declared as JSON."""

    code, status, title = "unsupported_media_type", 415, "The body must be application/json"


def problem(error: MpiError, request_id: str | None = None) -> dict[str, Any]:
    """The members of an error's answer; ``extra`` members cannot replace the fixed ones."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
    }
    if request_id is not None:
        body["request_id"] = request_id
    return body | {k: v for k, v in error.extra.items() if k not in _FIXED_MEMBERS}


def problem_response(error: MpiError, request_id: str | None = None) -> Response:
    """An error as a response, with the headers its status asks for."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mpi"'
    if error.retryable:
        headers["Retry-After"] = str(error.extra.get("retry_after", RETRY_AFTER_SECONDS))
    if allow := error.extra.get("allow"):
        headers["Allow"] = str(allow)
    content = orjson.dumps(problem(error, request_id), default=str)
    return Response(content, error.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make the framework's own errors look like ours. Ours are rendered by the outermost layer."""
    app.add_exception_handler(HTTPException, _framework_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


async def _framework_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 405 and isinstance(error, HTTPException):
        allow = (error.headers or {}).get("Allow", "")
        mapped: MpiError = MethodNotAllowed("this route does not take the method", allow=allow)
    else:
        mapped = _FRAMEWORK.get(status, MpiError)(_DETAILS.get(status, "the request failed"))
    return problem_response(mapped, request.scope.get(REQUEST_ID))


_FRAMEWORK: dict[int, type[MpiError]] = {
    400: MalformedBody,
    404: NotFound,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
}
_DETAILS = {
    400: "the body is not valid JSON",
    404: "no such route; /docs lists them",
    413: "the body is too large",
    415: "send the body as application/json",
}


async def _validation_error(request: Request, error: Exception) -> Response:
    details = error.errors() if isinstance(error, RequestValidationError) else ()
    broken = any(item.get("type") == "json_invalid" for item in details)
    mapped: MpiError = (
        MalformedBody("the body is not valid JSON")
        if broken
        else InvalidInput("fields are missing or of the wrong form", errors=field_errors(details))
    )
    return problem_response(mapped, request.scope.get(REQUEST_ID))


def field_errors(details: Iterable[Any]) -> list[dict[str, str]]:
    """Where and how a body is wrong: a path of our own field names and the broken rule's name.

    The name of an unknown field is the client's own text, so it is shown as ``?``.
    """
    return [{"path": _path(item), "code": str(item["type"])} for item in details]


def _path(item: Any) -> str:
    parts = [str(part) for part in item["loc"]]
    if item["type"] == "extra_forbidden":
        parts[-1] = "?"
    return ".".join(parts)


_CAUSES: dict[int, tuple[type[MpiError], ...]] = {
    400: (MalformedBody,),
    401: (Unauthorized,),
    403: (Forbidden,),
    404: (NotFound,),
    408: (RequestTimeout,),
    409: (Conflict, ConcurrentChange),
    410: (Gone,),
    412: (PreconditionFailed,),
    413: (PayloadTooLarge,),
    415: (UnsupportedMediaType,),
    422: (InvalidInput,),
    500: (MpiError,),
    503: (StoreUnavailable, Stopping),
    504: (DeadlineExceeded,),
}
"""What a published status may mean on any route that has it."""
_OF_ALL = (401, 403, 500, 503, 504)
_OF_BODIES = (MalformedBody, InvalidInput)
"""Of routes that declare a body."""
_OF_SENDERS = (RequestTimeout, PayloadTooLarge, UnsupportedMediaType, Overloaded)
"""Of bodies that the route need not even ask for: the layers around it read and bound whatever is sent."""
_SENDERS = frozenset({"post", "put", "delete"})
_OF_PROVIDERS: dict[str, tuple[type[MpiError], ...]] = {
    "match": (ProviderUnavailable, ProviderRefusal),
    "batch": (ProviderUnavailable,),  # a refusal fails its row alone
    "search": (ProviderUnavailable, ProviderRefusal),
    "put_record": (ProviderUnavailable, ProviderRefusal),
}
"""What the operations that ask an outside provider pass on from it. Whatever else it is asked for, nobody waits."""
_SHOWN_ID = "9f86d081884c7d65"
_HEADER = "#/components/headers/{name}"
_DESCRIBED = {
    "X-Request-ID": (
        "Names this request in the log: the client's own id where it is a UUID, a ULID or 16 to 64 hexadecimal digits "
        "and hyphens with a letter among them, else one made here."
    ),
    "ETag": "The version read, for `If-Match`; left out where nothing can be changed.",
    "Retry-After": "Whole seconds after which repeating may help; sent with what is `retryable`.",
    "WWW-Authenticate": "How a key is sent.",
}
_SCHEMAS: dict[str, dict[str, Any]] = {"Retry-After": {"type": "integer", "minimum": 1}}
"""Of the headers that are more than text."""
_SENT_WITH = {401: "WWW-Authenticate"}
_HOMES = frozenset({MpiError.__module__, __name__})
"""Where error classes are defined: which other modules are imported must not change what is published."""


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the errors that are a route's own; :func:`complete` adds and fills in the rest."""
    return {status: {"description": _CAUSES[status][0].title} for status in statuses}


def headers(*names: str) -> dict[str, Any]:
    """OpenAPI entries for headers of an answer."""
    return {name: {"$ref": _HEADER.format(name=name)} for name in names}


TAGGED: dict[str, Any] = {"headers": headers("ETag")}
"""The part of the OpenAPI entry of an answer that is sent with its ETag."""


def header_components() -> dict[str, Any]:
    """What :func:`headers` refers to."""
    return {
        name: {"description": text, "schema": _SCHEMAS.get(name, {"type": "string"})}
        for name, text in _DESCRIBED.items()
    }


def complete(method: str, operation: dict[str, Any]) -> None:
    """Publish every error of a route below ``/mpi/`` with all its causes, also those from the layers around it.

    ``method`` is in lower case, as in OpenAPI.
    """
    published = operation["responses"]
    found: dict[int, list[type[MpiError]]] = {
        status: list(_CAUSES[status])
        for status in sorted({*map(int, published), *_OF_ALL} & _CAUSES.keys())
    }
    around = (
        *(_OF_BODIES if "requestBody" in operation else ()),
        *(_OF_SENDERS if method in _SENDERS else ()),
    )
    for cause in (*around, *_OF_PROVIDERS.get(operation["operationId"], ())):
        causes = found.setdefault(cause.status, [])
        if cause not in causes:
            causes.append(cause)
    published.update({str(status): _entry(status, causes) for status, causes in found.items()})
    operation["responses"] = dict(sorted(published.items()))


def _entry(status: int, causes: list[type[MpiError]]) -> dict[str, Any]:
    """One error's OpenAPI entry, with an example of each cause."""
    examples = {
        cause.code: {"summary": cause.title, "value": problem(cause(cause.title), _SHOWN_ID)}
        for cause in causes
    }
    names = [_SENT_WITH[status]] if status in _SENT_WITH else []
    if any(cause.retryable for cause in causes):
        names.append("Retry-After")
    return {
        "description": " / ".join(cause.title for cause in causes),
        "headers": headers(*names),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }
        },
    }


def codes() -> list[str]:
    """Every stable code there is, also of errors that only health checks, batches and logs name."""
    return sorted({kind.code for kind in _family(MpiError) if kind.__module__ in _HOMES})


def _family(kind: type[MpiError]) -> Iterator[type[MpiError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _family(narrower)
