"""A client of the simulator, as impatient as a test needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordKey, Submission
from mpi.domain.registration import read_flat
from mpi.matching.placeholders import DEFAULT
from mpi.providers.verato.access import Access, Credentials, open_access
from mpi.providers.verato.budget import Budget
from mpi.providers.verato.client import BREAKER, CallReport, Limits, VeratoClient
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.payload import PayloadForm
from mpi.providers.verato.transport import Timeouts
from mpi.resilience import BreakerRule
from mpi.service.preparation import Preparation
from tests.support.verato import OPTIONS, SOURCE, Verato

IMPATIENT = Timeouts(connect=2, read=0.4, total=20)
UNLIMITED = Limits(tps=10_000, start=10_000, concurrency=8)


def credentials(verato: Verato, **other: Any) -> Credentials:
    """What gets a client in; ``other`` says what is different."""
    password = verato.files.folder / "password"
    if not password.exists():
        password.write_text(f"{OPTIONS.password}\n", "utf-8")
    given = Credentials(
        username=OPTIONS.username,
        password_file=password,
        client_cert=verato.files.client_cert,
        client_key=verato.files.client_key,
        ca=verato.files.ca,
    )
    return replace(given, **other)


def access(verato: Verato, **other: Any) -> Access:
    return open_access(verato.endpoint, "/link-ws/svc", credentials(verato, **other))


@asynccontextmanager
async def connected(
    verato: Verato,
    *,
    form: PayloadForm | None = None,
    way_in: Access | None = None,
    timeouts: Timeouts = IMPATIENT,
    limits: Limits = UNLIMITED,
    breaker: BreakerRule = BREAKER,
    budget: Budget | None = None,
    report: Callable[[CallReport], None] = lambda _: None,
) -> AsyncIterator[VeratoIndex]:
    """Verato as the provider uses it, over connections of its own."""
    chosen = form or PayloadForm()
    client = VeratoClient(
        way_in or access(verato),
        version=chosen.version,
        real_time=timeouts,
        batch=timeouts,
        limits=limits,
        breaker=breaker,
        budget=budget,
        report=report,
    )
    try:
        yield VeratoIndex(client, chosen)
    finally:
        await client.close()


def record(row: dict[str, str], source_id: str = "", source: str = SOURCE) -> StoredRecord:
    """A row of the population as the service would store it, under another number if one is given."""
    submission, _ = read_flat(row)
    if source_id:
        submission = Submission(submission.demographics, RecordKey(source, source_id))
    return Preparation(b"k" * 32, DEFAULT, lambda: datetime.now(UTC)).record(submission)[0]
