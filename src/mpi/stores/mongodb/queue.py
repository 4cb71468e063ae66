"""Changes of one process that wait to be written: all that have come when it is their turn share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pymongo.errors import PyMongoError

from mpi.domain.identity import Committed, IdentityChange
from mpi.errors import MpiError
from mpi.stores.mongodb import commit
from mpi.stores.mongodb.errors import TRANSIENT, is_duplicate
from mpi.stores.mongodb.unit import Unit
from mpi.stores.write_queue import Waiting, WaitingRoom

T = TypeVar("T")
_Outcomes = list[Committed | BaseException]

_TOGETHER = 100
"""Changes of one transaction, at most."""


class Patiently(Protocol):
    """Runs something, again while others are in the way, until a deadline."""

    async def __call__(self, body: Callable[[], Awaitable[T]]) -> T: ...


_Changes = Waiting[Sequence[IdentityChange], Committed]


@dataclass(slots=True)
class _Batch:
    """Changes of one transaction. ``may_grow``: whoever comes until it has the head goes along; ``is_trusting``: who
    comes as new is not looked for."""

    waiting: list[_Changes]
    may_grow: bool
    is_trusting: bool = True


class CommitQueue:
    """Writes what waits. ``begin`` opens a transaction, ``finish`` makes it durable; both raise ``PyMongoError``.

    ``writing`` is held meanwhile, so that nobody else of this process opens one.
    """

    def __init__(
        self,
        begin: Callable[[], Awaitable[Unit]],
        finish: Callable[[Unit], Awaitable[None]],
        patiently: Patiently,
        writing: asyncio.Lock,
    ) -> None:
        self._begin = begin
        self._finish = finish
        self._patiently = patiently
        self._writing = writing
        self._room = WaitingRoom[Sequence[IdentityChange], Committed](self._write)

    async def commit(self, changes: Sequence[IdentityChange]) -> Committed:
        """Apply the changes whole or not at all; durable on return."""
        return await self._room.wait(changes)

    async def _write(self) -> None:
        async with self._writing:
            await self._settle(_Batch(self._room.leave(_TOGETHER), may_grow=True))

    async def _settle(self, batch: _Batch) -> None:
        first = len(batch.waiting)
        # As a task of its own: whatever it raises is for those who wait, not for the writer.
        attempt = asyncio.create_task(self._patiently(lambda: self._together(batch)))
        await asyncio.wait([attempt])
        error = attempt.exception()
        if error is None:
            outcomes = attempt.result()
        else:
            # Who came later has waited less, and is not to blame: they get a turn of their own.
            late, batch.waiting = batch.waiting[first:], batch.waiting[:first]
            self._room.come_back(late)
            if not isinstance(error, MpiError) and first + len(late) > 1:
                # A change that cannot even be written must not take the others with it.
                for waiting in batch.waiting:
                    await self._settle(_Batch([waiting], may_grow=False))
                return
            outcomes = [error] * first
        for waiting, outcome in zip(batch.waiting, outcomes, strict=True):
            waiting.answer(outcome)

    async def _together(self, batch: _Batch) -> _Outcomes:
        """One transaction; a change that is refused leaves the others."""
        unit = await self._begin()
        try:
            if batch.may_grow:  # whoever came while others had the head goes along
                batch.waiting += self._room.leave(_TOGETHER - len(batch.waiting))
            return await self._apply(unit, batch)
        except BaseException as error:
            await unit.give_up()
            if not batch.is_trusting or not is_duplicate(error):
                raise
            batch.is_trusting = False
        # Outside of the block above: its error quotes documents.
        raise PyMongoError("a record that came as a new one is there", [TRANSIENT])

    async def _apply(self, unit: Unit, batch: _Batch) -> _Outcomes:
        changes = [change for waiting in batch.waiting for change in waiting.what]
        if batch.is_trusting:
            unit.trust(changes)
        await unit.prefetch(changes)
        outcomes: _Outcomes = []
        for waiting in batch.waiting:
            try:
                outcomes.append(await commit.apply(unit, waiting.what))
            except MpiError as refusal:
                outcomes.append(refusal)
        await self._finish(unit)
        return outcomes
