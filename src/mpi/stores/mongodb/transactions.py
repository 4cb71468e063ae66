"""Transactions on MongoDB: one writer at a time, snapshots for readers.

Every write transaction begins by changing the head document. So writers of all processes queue up for it, nothing that
they read can change before they commit, and events are numbered without a gap. Within a process they stand in one
queue (:mod:`mpi.stores.mongodb.queue`); between processes MongoDB answers with a conflict, after which this one waits
to be told of the other's commit and begins anew.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from pymongo import AsyncMongoClient, ReadPreference, ReturnDocument, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from mpi.domain.identity import Committed, IdentityChange
from mpi.errors import StoreUnavailable
from mpi.stores.mongodb import commit
from mpi.stores.mongodb.abandoned import end_abandoned
from mpi.stores.mongodb.errors import (
    UNKNOWN_COMMIT,
    is_conflict,
    is_transient,
    unavailable,
)
from mpi.stores.mongodb.queue import CommitQueue
from mpi.stores.mongodb.schema import HEAD, META, Database, Document
from mpi.stores.mongodb.tail import Tail
from mpi.stores.mongodb.unit import Unit

T = TypeVar("T")

DEADLINE = 10.0
"""Seconds for which a transaction is tried again."""

_FIRST_PAUSE, _LAST_PAUSE = 0.002, 0.050
_TURN = 0.020
"""Seconds after which another writer's transaction may have ended without a commit that is told."""
_LOOK_AROUND = 0.5
"""Seconds of waiting for another writer after which its transaction may be an abandoned one."""
_SNAPSHOT = ReadConcern("snapshot")
_DURABLE = WriteConcern("majority", j=True)


@dataclass(frozen=True, slots=True)
class View:
    """One moment of the index: what a snapshot, or an open group of changes, shows."""

    database: Database
    session: AsyncClientSession
    known_head: Document | None = None


def vanished() -> StoreUnavailable:
    """There is a database, but its head is gone."""
    return StoreUnavailable("the index has vanished from its database")


@dataclass(slots=True)
class _Group:
    """A transaction that stays open for a block of code; ``turn`` lets its tasks use the session one by one."""

    unit: Unit
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    broken: bool = False


class Transactions:
    """Reading and writing in one database.

    ``reached`` is told the last event of each commit that is durable; ``next_commit`` waits until a commit is told,
    some seconds at the most.
    """

    def __init__(
        self,
        client: AsyncMongoClient[Document],
        database: Database,
        tail: Tail,
        reached: Callable[[int], None],
        next_commit: Callable[[float], Awaitable[None]],
    ) -> None:
        self._client = client
        self._database = database
        self._reached = reached
        self._next_commit = next_commit
        self._tail = tail
        self._writing = asyncio.Lock()
        self._queue = CommitQueue(self._begin, self._finish, self._patiently, self._writing)
        self._open_group: _Group | None = None
        self._my_group: ContextVar[_Group | None] = ContextVar("group", default=None)

    @property
    def _group(self) -> _Group | None:
        """The open group, for the tasks inside it; nobody else may see its changes."""
        mine = self._my_group.get()
        return mine if mine is self._open_group else None

    @property
    def is_in_group(self) -> bool:
        """Whether whoever asks is inside the open group, and so sees its changes."""
        return self._group is not None

    async def read(
        self,
        body: Callable[[View], Awaitable[T]],
        inside: Callable[[View, Unit], Awaitable[T]] | None = None,
    ) -> T:
        """Run ``body`` on one snapshot. Inside a group it sees what the group has committed.

        ``inside`` does the same within a group from what is known there, which spares writing it before.
        """
        group = self._group
        if group is None:
            return await self._patiently(lambda: self._snapshot(body))
        return await self._inside(group, lambda unit: self._seen(unit, body, inside))

    async def _snapshot(self, body: Callable[[View], Awaitable[T]]) -> T:
        async with self._client.start_session(snapshot=True) as session:
            return await body(View(self._database, session))

    async def _seen(
        self,
        unit: Unit,
        body: Callable[[View], Awaitable[T]],
        inside: Callable[[View, Unit], Awaitable[T]] | None,
    ) -> T:
        view = View(self._database, unit.session, unit.head)
        if inside is not None:
            return await inside(view, unit)
        await unit.write()
        return await body(view)

    async def head(self) -> Document:
        """The head: of the open group inside one, else the durable one. One read without a session is the cheapest."""
        group = self._group
        if group is not None:
            return group.unit.head
        found = await self._patiently(lambda: self._database[META].find_one({"_id": HEAD}))
        if found is None:
            raise vanished()
        return found

    async def commit(self, changes: Sequence[IdentityChange]) -> Committed:
        """Apply the changes whole or not at all; durable on return, or inside a group when that ends."""
        group = self._group
        if group is not None:
            return await self._inside(group, lambda unit: commit.apply(unit, changes))
        return await self._queue.commit(changes)

    async def outside_history(
        self, body: Callable[[Database, AsyncClientSession | None], Awaitable[T]]
    ) -> T:
        """Write what is no event: by itself, or inside a group as part of it, where all that came before is seen."""
        group = self._group
        if group is None:
            return await self._patiently(lambda: body(self._database, None))

        async def within(unit: Unit) -> T:
            unit.has_errands = True
            await unit.write()
            return await body(self._database, unit.session)

        return await self._inside(group, within)

    @asynccontextmanager
    async def group(self) -> AsyncIterator[None]:
        """Writes inside become durable together. A group inside a group is part of it."""
        if self._group is not None:
            yield
            return
        async with self._writing:
            # A block cannot be repeated: only its beginning is tried again.
            group = _Group(await self._patiently(self._begin))
            self._open_group = group
            self._my_group.set(group)
            try:
                yield
                await self._inside(group, self._finish)
            except BaseException:
                await group.unit.give_up()
                raise
            finally:
                self._open_group = None
                self._my_group.set(None)

    async def _inside(self, group: _Group, body: Callable[[Unit], Awaitable[T]]) -> T:
        async with group.turn:
            if group.broken:
                raise StoreUnavailable("the group of changes was given up: none of them is stored")
            try:
                return await body(group.unit)
            except PyMongoError as error:
                group.broken = True
                raise unavailable(error) from None

    async def _begin(self) -> Unit:
        """Open a transaction and take the head, which keeps every other writer out."""
        session = self._client.start_session(causal_consistency=False)
        try:
            await session.start_transaction(
                read_concern=_SNAPSHOT,
                write_concern=_DURABLE,
                read_preference=ReadPreference.PRIMARY,
            )
            head = await self._database[META].find_one_and_update(
                {"_id": HEAD},
                {"$inc": {"writes": 1}},
                return_document=ReturnDocument.AFTER,
                session=session,
            )
            if head is None:
                raise vanished()
        except BaseException:
            await session.end_session()
            raise
        self._tail.clear_beyond(head["position"])
        return Unit(self._database, session, head, self._tail)

    async def _finish(self, unit: Unit) -> None:
        """Make what the unit changed durable."""
        if not unit.events and not unit.has_errands:
            await unit.give_up()
            return
        await unit.finish()
        await _commit(unit.session)
        self._tail.add(unit.events)
        self._reached(unit.head["position"])
        await unit.session.end_session()

    async def _patiently(self, body: Callable[[], Awaitable[T]]) -> T:
        """Run ``body``, again while others write or the primary changes, until the deadline."""
        pause, begun = _FIRST_PAUSE, time.monotonic()
        looked = begun
        while True:
            try:
                return await body()
            except PyMongoError as error:
                now = time.monotonic()
                if not is_transient(error) or now >= begun + DEADLINE:
                    raise unavailable(error) from None
                is_blocked = is_conflict(error)
                in_the_way = is_blocked and now >= looked + _LOOK_AROUND
            if in_the_way:
                await end_abandoned(self._client)
                looked = now
            # Unequal pauses keep processes that met once from meeting again, where nobody tells them.
            unequal = random.uniform(0.5, 1.5)  # noqa: S311
            if is_blocked:
                await self._next_commit(_TURN * unequal)
            else:
                await asyncio.sleep(pause * unequal)
                pause = min(pause * 2, _LAST_PAUSE)


async def _commit(session: AsyncClientSession) -> None:
    """Commit, asking again while the answer got lost: MongoDB knows whether it has committed this transaction."""
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            return await session.commit_transaction()
        except PyMongoError as error:
            if not error.has_error_label(UNKNOWN_COMMIT) or time.monotonic() >= deadline:
                raise
        await asyncio.sleep(_LAST_PAUSE)
