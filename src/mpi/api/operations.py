"""For those who run the service: health, metrics, and documentation that needs no other site."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from mpi.api.problems import RETRY_AFTER_SECONDS
from mpi.api.rendering import answer, container
from mpi.api.schemas import Alive, Ready, Unready
from mpi.service.health import Part, examine

router = APIRouter(tags=["operations"])
_STATIC = Path(__file__).parent / "static"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Master Patient Index</title>
<link rel="icon" href="docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
</body>
</html>
"""
# Nothing may be loaded from elsewhere; the page styles itself and shows its icons as data.
_PAGE_POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"


@router.get("/health/live", summary="Is the process alive?", responses={200: {"model": Alive}})
async def live() -> Response:
    """Restart the process when this fails: its loop no longer turns. It looks at nothing outside."""
    return answer({"status": "ok"})


@router.get(
    "/health/ready",
    summary="Can it serve?",
    responses={200: {"model": Ready}, 503: {"model": Unready, "description": "Not now"}},
)
async def ready(request: Request) -> Response:
    """Send no traffic while this is 503: a critical part does not work. `degraded` serves everything.

    Says also whether the index holds the synthetic demo.
    """
    service = container(request)
    health = await examine(service.checks)
    parts = {part.name: _part(part) for part in health.parts}
    if health.failure is None:
        return answer({"status": health.status, "parts": parts} | await service.facts())
    body = {"status": health.status, "code": health.failure.code, "parts": parts}
    response = answer(body)
    response.status_code = 503
    response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def _part(part: Part) -> dict[str, Any]:
    return {
        "status": "ok" if part.code is None else "failing",
        "critical": part.is_critical,
        "code": part.code,
        "detail": part.detail,
        "latency_ms": round(part.latency_ms, 3),
    }


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Over all workers of this service."""
    # In a thread: it reads files, and may wait for the parent.
    text = await asyncio.to_thread(container(request).metrics.render)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def documentation(_: Request) -> Response:
    """The API's documentation, to read and to try."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _PAGE_POLICY})


async def openapi(request: Request) -> Response:
    """The machine-readable description of the API."""
    app: FastAPI = request.app
    return answer(app.openapi())


def install(app: FastAPI) -> None:
    """Add the routes above."""
    app.include_router(router)
    app.add_route("/docs", documentation, include_in_schema=False)
    app.add_route("/openapi.json", openapi, include_in_schema=False)
    app.mount("/docs/assets", StaticFiles(directory=_STATIC))
