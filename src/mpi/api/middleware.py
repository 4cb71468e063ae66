"""The layers around every request, as plain ASGI: the framework's wrappers cost far more.

From the outside in: :class:`Edge` (request id, errors, metrics, log), ``security.Guard`` (who
asks), ``room.Room`` (how much at once), :class:`Bounds` (size and time), :class:`FastPath` (the
busiest route, past the routing).
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mpi.api.deadlines import Deadlines
from mpi.api.garbage import collect_if_due
from mpi.api.problems import RequestTimeout, Stopping, UnsupportedMediaType, problem_response
from mpi.api.scope import BODY, HEADERS, REQUEST_ID, ROUTE
from mpi.errors import DeadlineExceeded, MpiError, PayloadTooLarge
from mpi.telemetry import Metrics, place_of

_MADE_ID = re.compile(
    rb"(?=[0-9-]*[A-Za-z])"
    rb"(?:[0-9A-Fa-f][0-9A-Fa-f-]{14,62}[0-9A-Fa-f]|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25})"
)
"""What programs draw: a UUID, a trace id and other hexadecimal digits, or a ULID. A number of nothing but digits may be
a patient's, and so may words, and letters among digits (the tax codes of some countries are made of the name)."""
_UNROUTED = "(no route)"
_CLIENT_LEFT = 499
_JSON = (b"content-type", b"application/json")

log = structlog.get_logger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
Kept = Callable[[Scope], Awaitable[bytes | None]]


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a request header; ``name`` in lower case."""
    known: dict[bytes, bytes] | None = scope.get(HEADERS)
    if known is None:  # several layers ask for several headers each
        known = scope[HEADERS] = dict(reversed(scope["headers"]))
    return known.get(name)


class Edge:
    """Outermost: names the request, turns every exception into a problem, counts and logs."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. An answer that broke off midway ends the connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = _request_id(scope)
        answer = _Answer(send, scope[REQUEST_ID])
        started = perf_counter()
        self._metrics.in_progress.inc()
        try:
            await self._answer(scope, receive, answer)
        finally:
            self._metrics.in_progress.dec()
            # The answer has left by now: its client waits neither for our books nor for our cleaning.
            self._record(scope, answer, perf_counter() - started)
            collect_if_due()

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            await self._app(scope, receive, answer.send)
        except MpiError as error:
            await self._fail(error, scope, receive, answer)
        except ClientDisconnect:
            answer.status = _CLIENT_LEFT
        except asyncio.CancelledError:
            # By the server, at the end of MPI_SHUTDOWN_TIMEOUT: who took too long himself is told so further in.
            stopping = Stopping("the service stops before it has an answer; it is safe to repeat")
            await self._fail(stopping, scope, receive, answer)
        except Exception as error:  # noqa: BLE001 -- the last resort of this edge
            # Named by type and place here already: a logger set up otherwise would print values.
            kind, where = type(error).__name__, place_of(error.__traceback__)
            log.error(  # noqa: TRY400
                "request_failed", request_id=scope[REQUEST_ID], error=kind, where=where
            )
            await self._fail(MpiError("an unexpected error"), scope, receive, answer)

    async def _fail(self, error: MpiError, scope: Scope, receive: Receive, answer: _Answer) -> None:
        if answer.started:
            raise error
        await problem_response(error, scope[REQUEST_ID])(scope, receive, answer.send)

    def _record(self, scope: Scope, answer: _Answer, seconds: float) -> None:
        route = str(scope.get(ROUTE) or getattr(scope.get("route"), "path_format", _UNROUTED))
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.answered(method, route, answer.status, seconds)
        level = _LEVELS[min(answer.status // 100, 5)]
        if not _ROOT.isEnabledFor(level):
            return
        log.log(
            level,
            "request",
            request_id=scope[REQUEST_ID],
            method=method,
            route=route,
            status=answer.status,
            duration_ms=round(seconds * 1000, 2),
        )


_ROOT = logging.getLogger()
_LEVELS = (*[logging.DEBUG] * 4, logging.INFO, logging.ERROR)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


_ADDED = ((b"x-content-type-options", b"nosniff"),)
_ADDED_UNSTORED = (*_ADDED, (b"cache-control", b"no-store"))


class _Answer:
    """Watches one answer go out and adds the headers that all of them carry."""

    __slots__ = ("_request_id", "_send", "started", "status")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id.encode()
        self.started = False
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            chosen = any(name == b"cache-control" for name, _ in message["headers"])
            added = _ADDED if chosen else _ADDED_UNSTORED
            message["headers"] = [*message["headers"], (b"x-request-id", self._request_id), *added]
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """The client's id where it cannot be a patient's number, else a new one: it is logged."""
    given = header(scope, b"x-request-id")
    if given is not None and _MADE_ID.fullmatch(given):
        return given.decode()
    return f"{random.getrandbits(64):016x}"


class Bounds:
    """Reads the body whole into the scope, within a size and a time, then gives the work its own time.

    ``untimed`` names paths whose work is as long as their input (batches).
    """

    def __init__(
        self, app: ASGIApp, *, body_limit: int, timeout: float, untimed: frozenset[str]
    ) -> None:
        self._app = app
        self._limit = body_limit
        self._deadlines = Deadlines(timeout)
        self._untimed = untimed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a body too large, too slow or of another type is an ``MpiError``."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        scope[BODY] = None
        self._deadlines.start(task)
        try:
            scope[BODY] = await self._body(scope, receive) if _has_body(scope) else b""
            if scope["path"] in self._untimed:
                self._deadlines.release(task)
            else:
                self._deadlines.start(task)
            await self._app(scope, _replay(scope[BODY], receive), send)
        except asyncio.CancelledError:
            if not self._deadlines.has_ended(task):
                raise
            if scope[BODY] is None:
                raise RequestTimeout("the body did not arrive in time") from None
            raise DeadlineExceeded("the request took too long; it is safe to repeat") from None
        finally:
            self._deadlines.release(task)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        _check_media_type(scope)
        declared = header(scope, b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > self._limit:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._limit:
                raise self._too_large()
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge("the body exceeds MPI_BODY_LIMIT", limit=self._limit)


def _has_body(scope: Scope) -> bool:
    length = header(scope, b"content-length")
    if length is not None:
        return length != b"0"
    return header(scope, b"transfer-encoding") is not None


def _check_media_type(scope: Scope) -> None:
    given = (header(scope, b"content-type") or b"").split(b";")[0].strip().lower()
    if given != b"application/json" and not given.endswith(b"+json"):
        raise UnsupportedMediaType("send the body as application/json")
    if header(scope, b"content-encoding") not in {None, b"identity"}:
        raise UnsupportedMediaType("send the body without Content-Encoding")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that hands out the body once, then reports what the client does."""
    delivered = False

    async def replayed() -> Message:
        nonlocal delivered
        if delivered:
            return await receive()
        delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


class FastPath:
    """Answers exact (method, path) pairs without the routing, which documents the same ones.

    ``kept`` may know an answer's JSON already; only then the endpoint is not asked.
    """

    def __init__(
        self,
        app: ASGIApp,
        endpoints: Mapping[tuple[str, str], Endpoint],
        kept: Mapping[tuple[str, str], Kept],
    ) -> None:
        self._app = app
        self._endpoints = endpoints
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        place = (scope["method"], scope["path"]) if scope["type"] == "http" else ("", "")
        endpoint = self._endpoints.get(place)
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE] = scope["path"]
        kept = self._kept.get(place)
        body = None if kept is None else await kept(scope)
        if body is None:
            response = await endpoint(Request(scope, receive))
            await response(scope, receive, send)
            return
        length = (b"content-length", str(len(body)).encode())
        start = {"type": "http.response.start", "status": 200, "headers": (_JSON, length)}
        await send(start)
        await send({"type": "http.response.body", "body": body})
