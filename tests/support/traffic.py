"""Steady traffic against a service while something happens to it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Any

import httpx2

from tests.support.people import made_up

ENROLLING = 0.2
"""The share of requests that register somebody; the others ask who somebody is."""


@dataclass(slots=True)
class Traffic:
    """What was asked and what came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    acknowledged: dict[tuple[str, str], str] = field(default_factory=dict)
    """Registrations that were answered with 200, and their persons."""
    troubles: list[float] = field(default_factory=list)
    """When something else than an answer with 200 came back, by the monotonic clock."""
    unadvised: int = 0
    """Answers with 503 that did not say when to come again."""

    @property
    def answered(self) -> int:
        """Answers of any kind."""
        return self.statuses.total()

    @property
    def asked(self) -> int:
        """All requests that have come to an end."""
        return self.answered + len(self.broken)


@contextmanager
def traffic(url: str, *, rate: float = 200, clients: int = 40) -> Iterator[Traffic]:
    """``rate`` requests a second in all, from clients that keep a connection each; ends with the block."""
    seen, over = Traffic(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_all(url, seen, over, clients, clients / rate))
    )
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


async def _all(url: str, seen: Traffic, over: threading.Event, clients: int, pause: float) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(_one(url, seen, over, number, pause))


async def _one(url: str, seen: Traffic, over: threading.Event, number: int, pause: float) -> None:
    chance, source, serial = Random(number), f"WARD-{number}", 0
    patients = [made_up(chance) for _ in range(20)]
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        due = monotonic() + chance.random() * pause
        while not over.is_set():
            await asyncio.sleep(max(0.0, due - monotonic()))
            due = max(due + pause, monotonic())
            body: dict[str, Any] = {"patient_data": chance.choice(patients)}
            if chance.random() < ENROLLING:
                serial += 1
                body |= {"source": source, "source_id": str(serial)}
            await _ask(http, seen, body)


async def _ask(http: httpx2.AsyncClient, seen: Traffic, body: dict[str, Any]) -> None:
    try:
        answer = await http.post("/mpi/match", json=body)
    except httpx2.HTTPError as error:
        seen.broken.append(type(error).__name__)
        seen.troubles.append(monotonic())
        return
    seen.statuses[answer.status_code] += 1
    told = answer.json()
    if answer.status_code != 200:
        seen.codes[told["code"]] += 1
        seen.troubles.append(monotonic())
        seen.unadvised += answer.status_code == 503 and "retry-after" not in answer.headers
    elif "source_id" in body:
        seen.acknowledged[body["source"], body["source_id"]] = told["mpi_id"]
