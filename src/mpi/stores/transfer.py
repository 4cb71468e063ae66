"""Moving a whole index from one store to another: the same rows, whatever they lie in.

Rows go over table by table in the order of their first column, in batches that are durable before the next one. So a
transfer that was interrupted goes on after the last row that arrived. What follows from the rows – searchable
keys, links, counters – is made by the target at the end.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mpi.errors import ConfigurationError

Row = tuple[Any, ...]
Progress = Callable[[int, int], None]
"""Told how many rows of how many are done."""
Check = Callable[[], Awaitable[None]]
"""Raises ``ConfigurationError`` unless all is as it should be."""

TABLES: Mapping[str, tuple[str, ...]] = {
    "event": ("seq", "kind", "at", "actor", "reason", "undoes", "payload"),
    "person": ("number", "version", "active", "into", "seq"),
    "record": (
        *("number", "source", "source_id", "person", "version", "status", "received_at"),
        *("recorded_at", "digest", "demographics", "standard", "keys", "warnings", "seq"),
    ),
    "version": (
        *("number", "version", "status", "received_at", "recorded_at", "digest"),
        *("demographics", "standard", "keys", "warnings", "seq"),
    ),
    "task": (
        *("number", "version", "kind", "status", "record", "candidates", "weight", "reason"),
        *("opened_at", "assignee", "outcome", "decided_at", "deferred_until", "seq"),
    ),
    "assertion": ("number", "kind", "left", "right", "actor", "reason", "at", "seq", "lifted"),
    "errand": (
        *("name", "kind", "lane", "created_at", "due_at", "attempts", "reason", "mark", "lease"),
        *("wanted", "leased_until"),
    ),
    "api_key": ("key_id", "name", "digest", "scopes", "created_at", "revoked_at"),
    "model": ("version", "document", "added_at", "added_by"),
    "activation": ("number", "role", "version", "at", "actor", "reason"),
}
"""Columns of the rows. A record comes with its current version; ``version`` holds the others, numbered as in
:mod:`mpi.stores.rows`. Numbers stand for persons and records; contents are bytes of :mod:`mpi.stores.codec`."""

WITHOUT_EVENT = ("errand", "api_key", "model", "activation")
"""Tables that change without an event; they are small."""

BATCH = 2_000
_BREATH = 100


Calls = tuple[tuple[str, int], ...]
"""How many calls elsewhere were spent, under the name of their month: what a contract allows for it stays spent."""
OF_CALLS = "calls "
"""What these names begin with."""


def as_calls(pairs: Iterable[tuple[str, int]]) -> Calls:
    """In one order and form, wherever they were kept: they are compared."""
    return tuple(sorted((str(name), int(spent)) for name, spent in pairs))


@dataclass(frozen=True, slots=True)
class Facts:
    """What an index says of itself beside its rows."""

    fingerprint: bytes
    minted: int
    demo: bool
    position: int
    last_task: int
    """The last number given to a task: a restore leaves some out, as they may have been told to somebody."""
    calls: Calls


class Source(Protocol):
    """An index to read from, at rest."""

    async def facts(self) -> Facts:
        """Raises ``ConfigurationError`` when it is no index of ours."""
        ...

    async def count(self, table: str) -> int: ...

    def rows(self, table: str, after: Any = None) -> AsyncIterator[Row]:
        """The rows of a table after the one with that first column, in order."""
        ...


class Target(Source, Protocol):
    """An index to make. Nobody can open it before :meth:`finish`."""

    async def begin(self, facts: Facts) -> bool:
        """Prepare an empty index, or go on with one begun before; whether it still wants rows.

        One that is whole, with the same facts, wants none: it may serve already, and is only to be compared.
        Raises ``ConfigurationError`` when there is another index, or one begun from another source.
        """
        ...

    async def last(self, table: str) -> Any:
        """The first column of the last row that arrived; None without one."""
        ...

    async def add(self, table: str, rows: Sequence[Row]) -> None:
        """Durable on return, whole or up to one of the rows."""
        ...

    async def finish(self, facts: Facts, check: Check) -> None:
        """Make what follows from the rows, and an index of all: it is one only if the last ``check`` lets it."""
        ...


async def copy(source: Source, target: Target, progress: Progress) -> int:
    """Copy what is not there yet, without finishing; returns how many rows were there before.

    Raises ``ConfigurationError`` as :class:`Target` does.
    """
    is_wanting = await target.begin(await source.facts())
    total = sum([await source.count(table) for table in TABLES])
    before = done = sum([await target.count(table) for table in TABLES])
    progress(done, total)
    if not is_wanting:
        return before
    for table in TABLES:
        arriving: asyncio.Task[None] | None = None
        async for batch in _batches(source.rows(table, await target.last(table))):
            # One batch is read while the one before it is written: never two at once, or a gap might be left.
            if arriving is not None:
                await arriving
            arriving = asyncio.create_task(target.add(table, batch))
            done += len(batch)
            progress(done, total)
        if arriving is not None:
            await arriving
    return before


async def _batches(rows: AsyncIterator[Row]) -> AsyncIterator[list[Row]]:
    batch: list[Row] = []
    async for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
        elif len(batch) % _BREATH == 0:
            await asyncio.sleep(
                0
            )  # a file is read without a pause in which the other batch could go on
    if batch:
        yield batch


async def watched(source: Source) -> Check:
    """What tells from now on whether the source is still as it is now.

    Reading takes long, and making an index of the copy too; what is acknowledged meanwhile would be lost in silence.
    """
    before = await _condition(source)

    async def check() -> None:
        if await _condition(source) != before:
            raise ConfigurationError(
                "the index changed while it was copied; stop what writes to it, remove the copy and migrate again"
            )

    return check


async def _condition(index: Source) -> tuple[Facts, str]:
    """Different after any change, and quick: most changes have an event, the last of which is a fact."""
    return await index.facts(), await digest(index, tables=WITHOUT_EVENT)


async def digest(
    index: Source,
    progress: Progress = lambda _done, _all: None,
    *,
    tables: Sequence[str] = tuple(TABLES),
) -> str:
    """A digest over the rows of an index and what it says of itself, the same in whatever store."""
    facts = await index.facts()
    said = (facts.fingerprint, facts.minted, facts.demo, facts.last_task, facts.calls)
    state = hashlib.blake2b(repr(said).encode())
    total = sum([await index.count(table) for table in tables])
    done = 0
    for table in tables:
        state.update(table.encode())
        async for row in index.rows(table):
            state.update(repr(row).encode())
            done += 1
            if done % BATCH == 0:
                progress(done, total)
    progress(total, total)
    return state.hexdigest()[:32]


async def check_equal(source: Source, target: Source, progress: Progress) -> str:
    """Compare digests; returns theirs. Raises ``ConfigurationError`` when they differ."""
    one, other = await digest(source, progress), await digest(target, progress)
    if one != other:
        raise ConfigurationError(
            "the copy differs from the index it was made from, which must not change meanwhile; stop what "
            "writes to it, remove the copy and migrate again"
        )
    return one
