"""For those who run the service: health, metrics, and documentation that needs no other site."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastapi import APIRouter, FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from mpi.api.rendering import answer, container
from mpi.api.schemas import Health
from mpi.errors import MpiError

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


@router.get("/health/live", summary="Is the process alive?", responses={200: {"model": Health}})
async def live() -> Response:
    """Restart the process when this fails; it looks at nothing outside."""
    return answer({"status": "ok"})


@router.get(
    "/health/ready",
    summary="Can it serve?",
    responses={200: {"model": Health}, 503: {"model": Health, "description": "Not now"}},
)
async def ready(request: Request) -> Response:
    """Send no traffic while this is 503. Says whether the index holds the synthetic demo."""
    parts = container(request)
    try:
        return answer({"status": "ok"} | await parts.facts())
    except MpiError as error:
        response = answer({"status": "unavailable", "code": error.code})
        response.status_code = 503
        return response


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
