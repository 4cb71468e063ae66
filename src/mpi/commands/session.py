"""The options that every command shares, and the index behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import typer

from mpi.bootstrap.container import Container, build
from mpi.settings import EMBEDDED, Settings, check_verato_address, read_settings

T = TypeVar("T")

Embedded = Annotated[
    bool, typer.Option("--embedded", help="Use the embedded index: one SQLite file, no server.")
]
Demo = Annotated[bool, typer.Option("--demo", help="Use the demo index, a database of its own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

ACTOR = "command-line"
"""Who changed something, in events that commands make."""
_LOOK_S, _PARTING_S = 0.5, 2.0


def overrides(*, embedded: bool, demo: bool) -> dict[str, str]:
    """The settings that the shared options stand for."""
    return (dict(EMBEDDED) if embedded else {}) | ({"MPI_DEMO": "true"} if demo else {})


def settings(*, embedded: bool, demo: bool) -> Settings:
    """The settings of a command that works on the index itself."""
    found = read_settings(overrides(embedded=embedded, demo=demo))
    check_verato_address(found)
    return found


@asynccontextmanager
async def opened(
    chosen: Settings, *, create: bool = False, deciding: bool = True
) -> AsyncIterator[Container]:
    """The wired index, closed at the end. ``create`` makes one where there is none.

    Without ``deciding`` it is open although the activated model cannot be read.
    """
    container = build(chosen, create=create)
    try:
        await container.open(deciding=deciding)
        yield container
    finally:
        await container.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end, or until it is told to end."""
    return asyncio.run(_ending_when_told(work))


async def _ending_when_told(work: Coroutine[Any, Any, T]) -> T:
    """A server that hangs must not hold up the end: each step of clearing away gets a moment, then comes the next."""
    insisting = asyncio.create_task(_insist(asyncio.current_task()))
    try:
        return await work
    finally:
        insisting.cancel()


async def _insist(told: asyncio.Task[Any] | None) -> None:
    while told is not None:
        await asyncio.sleep(_LOOK_S)
        if not told.cancelling():
            continue
        await asyncio.sleep(_PARTING_S)
        if told.cancelling():  # still: a timeout cancels as well, for a moment
            told.uncancel()  # told again, it has been told once: only then asyncio takes it for an interrupt
            told.cancel()
