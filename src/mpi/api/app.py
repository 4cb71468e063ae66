"""The application: routes, the layers around them, and what OpenAPI says about both."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp

from mpi import __version__
from mpi.api import events, match, operations, persons, problems, records, tasks
from mpi.api.garbage import collect_between_answers
from mpi.api.middleware import Bounds, Edge, FastPath
from mpi.api.requests import BODIES
from mpi.api.room import Room
from mpi.api.schemas import Problem
from mpi.api.security import Guard
from mpi.api.wire import CONNECTIONS
from mpi.bootstrap.container import Container, build
from mpi.settings import check_verato_address, read_settings
from mpi.telemetry import configure_logging

log = structlog.get_logger(__name__)

_DESCRIPTION = """Who is this patient, how sure are we, and why?

Every answer is `Cache-Control: no-store` and carries `X-Request-ID`. Errors are
`application/problem+json` with a stable `code`; they never repeat what was sent.
Whatever changes an identity answers with its `event_id`, which `undo` takes.
"""
_LARGE_BODIES = 8
"""How many bodies of the largest size a process holds at once."""
_CLOSING_SECONDS = 3.0
"""How long what runs elsewhere may take to be let go of, once everybody is answered."""
_REFS = "#/components/schemas/{model}"
_CODES = "ErrorCode"
_CODED = ("Problem", "BatchProblem", "TaskProblem", "Unready")
"""Published models whose ``code`` is one of the stable ones."""


def create_app(
    container: Container,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[dict[str, Any]]] | None = None,
) -> FastAPI:
    """The ASGI application over a wired service, which its caller opens and closes."""
    app = _Layered(
        title="Master Patient Index",
        version=__version__,
        description=_DESCRIPTION,
        # Its own spans and logs carry addresses, validation inputs and exception texts.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.container = container
    for module in (match, persons, records, tasks, events):
        app.include_router(module.router)
    operations.install(app)
    problems.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


class _Layered(FastAPI):
    """An application inside layers of ours.

    The framework's own outermost layers come after the last of them, so that the busiest route never passes those.
    """

    def build_middleware_stack(self) -> ASGIApp:
        outermost = super().build_middleware_stack()
        # It would answer unexpected errors with plain text; they belong to Edge.
        inside = outermost.app if isinstance(outermost, ServerErrorMiddleware) else outermost
        return _layers(inside, self.state.container)


def _layers(app: ASGIApp, container: Container) -> ASGIApp:
    """Put the layers around, the innermost first."""
    settings = container.settings
    place, kept = ("POST", "/mpi/match"), match.kept_match(container)
    app = FastPath(app, {place: match.match}, {} if kept is None else {place: kept})
    app = Bounds(
        app,
        body_limit=settings.body_limit,
        timeout=settings.request_timeout,
        untimed=frozenset({"/mpi/batch"}),
    )
    app = Room(app, size=_LARGE_BODIES * settings.body_limit)
    return Edge(Guard(app, container.access), container.metrics)


def from_environment() -> FastAPI:
    """One worker's application: what the server calls in each of its processes."""
    settings = read_settings()
    check_verato_address(settings)
    configure_logging(settings.log_level)
    container = build(settings, create=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        await container.open()
        await container.warm_up()
        collect_between_answers()
        log.info(
            "started", version=__version__, model_version=container.follower.deciding().version
        )
        _end_with_parent()
        async with container.at_work():
            yield {CONNECTIONS: container.metrics.connections}
        await _let_go(container)
        log.info("stopped")

    return create_app(container, lifespan)


async def _let_go(container: Container) -> None:
    """A store that hangs keeps no process from ending: all that was acknowledged is durable already."""
    closing = asyncio.create_task(container.close())
    await asyncio.wait([closing], timeout=_CLOSING_SECONDS)
    if closing.done():
        closing.result()
    else:
        log.warning("not_closed_in_time")


def _end_with_parent() -> None:
    """Stop this worker once the process that started it was killed: it would hold the port for ever."""
    loop, parent = asyncio.get_running_loop(), multiprocessing.parent_process()

    def end(sentinel: int) -> None:
        loop.remove_reader(sentinel)
        signal.raise_signal(signal.SIGTERM)

    if parent is not None:
        loop.add_reader(parent.sentinel, end, parent.sentinel)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = schema.setdefault("components", {})
        _, extra = models_json_schema(
            [(model, "validation") for model in (*BODIES, Problem)], ref_template=_REFS
        )
        components.setdefault("schemas", {}).update(extra["$defs"])
        components["headers"] = problems.header_components()
        components["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        _polish(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _polish(schema: dict[str, Any]) -> None:
    """Say what the layers around the routes add: keys, errors and headers; and that all errors are problems."""
    for path, operations_of_path in schema["paths"].items():
        for method, operation in operations_of_path.items():
            if path.startswith("/mpi/"):
                operation["security"] = [{"bearer": []}, {"api_key": []}]
                problems.complete(method, operation)
            for status, response in operation["responses"].items():
                # Also the probe's 503, which is no problem document.
                ours = ("X-Request-ID", "Retry-After") if status == "503" else ("X-Request-ID",)
                response["headers"] = problems.headers(*ours) | response.get("headers", {})
    models = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        models.pop(name, None)
    models[_CODES] = {"type": "string", "title": _CODES, "enum": problems.codes()}
    for name in _CODED:
        code = models[name]["properties"]["code"]
        code.pop("type", None)
        code["$ref"] = _REFS.format(model=_CODES)
