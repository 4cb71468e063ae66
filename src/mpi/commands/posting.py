"""``mpi post``: tell Verato of the records that it does not know yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Annotated

import typer

from mpi.bootstrap.container import Container
from mpi.bootstrap.verato import USED_OF_LIMIT
from mpi.commands.session import AsJson, Demo, opened, run, settings
from mpi.commands.terminal import note, progress_bar, show_json, show_pairs
from mpi.domain.errand import ErrandKind
from mpi.errors import ConfigurationError
from mpi.service.cancellation import rest
from mpi.service.untold import Queued, queue_untold
from mpi.settings import Settings

_LOOK_EVERY_S = 1.0


def post(
    *,
    deliver: Annotated[
        bool, typer.Option("--deliver", help="Tell Verato from here too, until nothing is due.")
    ] = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Queue every record that Verato was never told of. The running service tells it, behind everything more urgent.

    Repeating it queues nothing twice. What fails is tried again by the service; see mpi_outbox_waiting.
    """
    chosen = settings(embedded=False, demo=demo)
    facts = run(_post(chosen, deliver=deliver))
    if as_json:
        show_json(facts)
    else:
        show_pairs("Posted", facts)
        if facts["waiting"]:
            seconds = facts["waiting"] / (USED_OF_LIMIT * chosen.verato_max_tps)
            note(f"At VERATO_MAX_TPS this takes {seconds / 3600:.1f} hours at the least.")


async def _post(chosen: Settings, *, deliver: bool) -> dict[str, int]:
    async with opened(chosen) as container:
        facts = asdict(await _queue(container))
        if deliver and container.courier is not None:
            async with _shown(container):
                await container.courier.deliver()
        return facts | {"waiting": await _waiting(container)}


async def _queue(container: Container) -> Queued:
    if container.verato is None:
        raise ConfigurationError("MPI_PROVIDER=internal has nobody to tell; set it to verato")
    total = (await container.index.statistics())["records"]
    with progress_bar("Looking", counts_rows=True) as bar:
        task = bar.add_task("", total=total)
        return await queue_untold(
            container.store,
            container.store,
            container.verato.counterpart,
            lambda done: bar.update(task, completed=done, rows=done),
        )


async def _waiting(container: Container) -> int:
    waiting = await container.store.waiting()
    return sum(w.count for w in waiting if w.kind is ErrandKind.POST)


@asynccontextmanager
async def _shown(container: Container) -> AsyncIterator[None]:
    """A bar of what is told meanwhile, whoever tells it."""
    total = await _waiting(container)
    with progress_bar("Telling", counts_rows=True) as bar:
        task = bar.add_task("", total=total)

        async def look() -> None:
            while True:
                done = total - await _waiting(container)
                bar.update(task, completed=done, rows=done)
                await rest(_LOOK_EVERY_S)

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
