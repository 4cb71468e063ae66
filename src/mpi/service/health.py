"""Whether the service can work: every part it depends on is asked, all at once, each for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

from mpi.errors import DeadlineExceeded, MpiError

PROBE_SECONDS = 0.8
"""Less than the second after which orchestrators usually give a probe up: the answer names the part that hangs."""

Status = Literal["ok", "degraded", "unavailable"]


@dataclass(frozen=True, slots=True)
class Check:
    """One part. ``probe`` raises an ``MpiError`` when it does not work; without a critical one nothing is served."""

    name: str
    is_critical: bool
    probe: Callable[[], Awaitable[object]]
    seconds: float = PROBE_SECONDS


@dataclass(frozen=True, slots=True)
class Part:
    """How a part was found. ``code`` and ``detail`` are those of its error, None when it works."""

    name: str
    is_critical: bool
    code: str | None
    latency_ms: float
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What all parts together mean."""

    parts: tuple[Part, ...]

    @property
    def failure(self) -> Part | None:
        """The first critical part that does not work."""
        return next((part for part in self.parts if part.is_critical and part.code), None)

    @property
    def status(self) -> Status:
        """``degraded`` means that everything is answered, but slower or with less."""
        if self.failure is not None:
            return "unavailable"
        return "degraded" if any(part.code for part in self.parts) else "ok"


async def examine(checks: Sequence[Check]) -> Health:
    """Probe all parts at once. Takes no longer than the slowest check may."""
    return Health(tuple(await asyncio.gather(*map(_probe, checks))))


async def _probe(check: Check) -> Part:
    started = perf_counter()
    code, detail = None, None
    try:
        async with asyncio.timeout(check.seconds):
            await check.probe()
    except MpiError as error:
        code, detail = error.code, error.detail
    except TimeoutError:
        code = DeadlineExceeded.code
    return Part(check.name, check.is_critical, code, (perf_counter() - started) * 1000, detail)
