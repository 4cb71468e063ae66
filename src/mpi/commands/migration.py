"""``mpi migrate``: from the embedded index to MongoDB, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from enum import StrEnum
from time import perf_counter
from typing import Annotated, Any

import typer

from mpi.bootstrap.key import hmac_key
from mpi.bootstrap.mongodb import mongo_address
from mpi.commands.session import AsJson, Demo, overrides, run
from mpi.commands.terminal import note, progress_bar, show_json, show_pairs
from mpi.commands.upkeep import violations
from mpi.errors import ConfigurationError
from mpi.settings import Settings, read_settings
from mpi.stores.fingerprint import fingerprint
from mpi.stores.mongodb import transfer as of_server
from mpi.stores.mongodb.transfer import MongoTransfer
from mpi.stores.sqlite import transfer as of_file
from mpi.stores.sqlite.transfer import SqliteSource, SqliteTarget
from mpi.stores.transfer import Progress, Source, Target, check_equal, copy, watched


class Kind(StrEnum):
    """What ``MPI_STORE`` may be."""

    SQLITE = "sqlite"
    MONGODB = "mongodb"


def migrate(
    origin: Annotated[Kind, typer.Option("--from", help="Where the index is.")],
    goal: Annotated[Kind, typer.Option("--to", help="Where it goes: an empty place.")],
    *,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Copy a whole index, with its history, from one store to the other. Nobody may write to it meanwhile.

    Both are found as the service finds them: MPI_SQLITE_PATH, MONGODB_URI and MPI_DB. Interrupted, the
    same command goes on. At the end both are verified and their contents compared.
    """
    if origin is goal:
        raise ConfigurationError("--from and --to name the same store; choose the other for one")
    chosen = read_settings(overrides(embedded=False, demo=demo))
    started = perf_counter()
    with of_server.told(), of_file.told(chosen.sqlite_path):
        facts = run(_migrate(chosen, origin, goal))
    facts["seconds"] = round(perf_counter() - started, 1)
    if as_json:
        show_json(facts)
    else:
        show_pairs("Migrated", facts)
        note("Every invariant holds on both sides, and their contents are equal.")


async def _migrate(chosen: Settings, origin: Kind, goal: Kind) -> dict[str, Any]:
    here, there = _at(chosen, origin), _at(chosen, goal)
    known = fingerprint(hmac_key(here, create=False))
    async with AsyncExitStack() as opened:
        source = await _source(here, opened)
        if (await source.facts()).fingerprint != known:
            raise ConfigurationError(
                "the index was made with another HMAC key; set MPI_HMAC_KEY to that key"
            )
        await _check(here, known)
        unchanged, facts = await watched(source), await source.facts()
        target = await _target(there, known, opened)
        with _bar("Copying") as progress:
            resumed = await copy(source, target, progress)
        with _bar("Comparing") as progress:
            digest = await check_equal(source, target, progress)
        await target.finish(facts, unchanged)
        await _check(there, known)
        await unchanged()
    return {"events": facts.position, "rows_there_before": resumed, "digest": digest}


def _at(chosen: Settings, kind: Kind) -> Settings:
    return chosen.model_copy(update={"store": kind.value})


async def _source(chosen: Settings, opened: AsyncExitStack) -> Source:
    if chosen.store == Kind.MONGODB.value:
        return await _connected(chosen, opened)
    source = SqliteSource(chosen.sqlite_path)
    opened.push_async_callback(source.close)
    return source


async def _target(chosen: Settings, known: bytes, opened: AsyncExitStack) -> Target:
    if chosen.store == Kind.MONGODB.value:
        return await _connected(chosen, opened)
    target = SqliteTarget(chosen.sqlite_path, known)
    opened.push_async_callback(target.close)
    return target


async def _connected(chosen: Settings, opened: AsyncExitStack) -> MongoTransfer:
    transfer = MongoTransfer(mongo_address(chosen))
    opened.push_async_callback(transfer.close)
    await transfer.open()
    return transfer


async def _check(chosen: Settings, known: bytes) -> None:
    with _bar("Checking") as progress:
        found = await violations(
            chosen, known, lambda _name, number, total: progress(number, total)
        )
    if found:
        raise ConfigurationError(
            f"the index in {chosen.store} breaks the invariant {found[0].code}; see `mpi verify`"
        )


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    """The rate and the time left are those of this run, though rows may have been there before."""
    first: list[int] = []
    with progress_bar(title, counts_rows=True) as bar:
        task = bar.add_task("", total=None, rows=0)

        def progress(done: int, total: int) -> None:
            first.append(done)
            bar.update(task, completed=done, total=total, rows=done - first[0])

        yield progress
