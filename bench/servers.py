"""What the service is measured beside: an echo on the same server stack, and an equal FastAPI handler.

``python -m bench.servers echo|rival PORT`` serves one of them with the settings of ``mpi serve``.
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

_BACKLOG = 2048
_JSON = b"application/json"
# As long as an answer of the service to a query without candidates.
_ECHOED = 400

Message = dict[str, Any]


async def echo(scope: Message, receive: Any, send: Any) -> None:
    """Read the body and answer with its beginning: the least that any service does."""
    if scope["type"] != "http":
        await _lifespan(receive, send)
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = body[:_ECHOED]
    headers = [(b"content-type", _JSON), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def _lifespan(receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class Patient(BaseModel):
    """The flat fields that queries of the bench have."""

    ssn: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    suffix: str | None = None
    maiden_name: str | None = None
    mothers_maiden_name: str | None = None
    dob: str | None = None
    sex: str | None = None
    address: str | None = None
    address2: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    phone: str | None = None
    phone2: str | None = None
    email: str | None = None
    mrn: str | None = None
    birth_order: str | None = None
    multiple_birth: str | None = None
    deceased_date: str | None = None


class Question(BaseModel):
    """The body of ``POST /mpi/match``."""

    patient_data: Patient
    source: str | None = None
    source_id: str | None = None
    enroll: bool | None = None
    explain: bool = False


class Answer(BaseModel):
    """What the service answers to a query."""

    mpi_id: str | None = None
    status: str = "no_match"
    confidence: float | None = None
    match_weight: float | None = None
    grade: str | None = None
    provider: str = "internal"
    served_from: str = "memory"
    model_version: str = "1"
    processing_time_ms: float = 0.01
    request_id: str = "0123456789abcdef"
    event_id: str | None = None
    task_id: str | None = None
    source: str | None = None
    source_id: str | None = None
    provisional: bool = False
    provider_ids: dict[str, str | None] = {"verato": None}
    provider_score: float | None = None
    reason: str | None = None
    warnings: list[dict[str, str]] = []
    candidates: list[dict[str, Any]] = []
    explanation: None = None


def rival() -> FastAPI:
    """The handler that anybody would write: pydantic in, a look-up by every field, pydantic out.

    It checks no key and counts nothing, so the comparison leans its way.
    """
    app = FastAPI()
    known: dict[tuple[str | None, ...], Answer] = {}

    @app.post("/mpi/match")
    async def match(question: Question) -> Answer:
        key = tuple(question.patient_data.__dict__.values())
        found = known.get(key)
        if found is None:
            found = known[key] = Answer(mpi_id=f"MPI-{len(known)}", status="matched")
        return found

    return app


def main() -> None:
    """Serve the application named first on the port named second."""
    kind, port = sys.argv[1:3]
    uvicorn.run(
        rival() if kind == "rival" else echo,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
    )


if __name__ == "__main__":
    main()
