"""Reading one moment of the index for longer than MongoDB keeps it.

MongoDB keeps a snapshot for five minutes, unless told otherwise. When it has let go of one, reading goes on after the
last document in a new one, which shows the same as long as nothing has happened to the index meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.errors import PyMongoError

from mpi.errors import StoreUnavailable
from mpi.stores.mongodb.errors import KEEP_LONGER, is_snapshot_lost, translated
from mpi.stores.mongodb.schema import HEAD, META, Database, Document
from mpi.stores.mongodb.transactions import vanished

_DEADLINE = 10.0
"""Seconds for which a document is asked for that no snapshot lasts long enough to show."""
_PAUSE = 0.05
_ROWS = 1_000
"""Documents of one answer: few enough to be done with before the next is due."""

BY_NUMBER = ("_id",)


class LongRead:
    """The documents of one moment: that of the first question. ``opened`` closes its sessions."""

    def __init__(
        self, client: AsyncMongoClient[Document], database: Database, opened: AsyncExitStack
    ) -> None:
        self.database = database
        self._client = client
        self._opened = opened
        self._session: AsyncClientSession | None = None
        self._position: int | None = None

    async def documents(
        self,
        name: str,
        wanted: Mapping[str, Any] | None = None,
        fields: Mapping[str, int] | None = None,
        order: Sequence[str] = BY_NUMBER,
    ) -> AsyncGenerator[Document, None]:
        """What is in a collection, in the order of a unique index; ``fields`` include those of it.

        Who stops early closes it within the read: its cursor belongs to a session of that.

        Raises:
            StoreUnavailable: the index changed, and its former state is no longer kept.
            PyMongoError: MongoDB cannot be used.
        """
        last: Document | None = None
        failing_since: float | None = None
        is_whole = False
        while not is_whole:
            session = self._session
            try:
                session = session or await self._begin()
                found = self.database[name].find(wanted, fields, session=session)
                async with _after(found, order, last) as cursor:
                    async for document in cursor:
                        if last is None or any(document[part] != last[part] for part in order):
                            yield document
                        last, failing_since = document, None
                is_whole = True
            except PyMongoError as error:
                failing_since = failing_since or monotonic()
                if not is_snapshot_lost(error) or monotonic() > failing_since + _DEADLINE:
                    raise
                if self._session is session:  # else another question has taken a new one already
                    self._session = None
                await asyncio.sleep(_PAUSE)

    async def _begin(self) -> AsyncClientSession:
        """Take a new snapshot, of the same state of the index as the first one."""
        session = self._client.start_session(snapshot=True)
        await self._opened.enter_async_context(session)
        head = await self.database[META].find_one({"_id": HEAD}, session=session)
        if head is None:
            raise vanished()
        if self._position not in {None, head["position"]}:
            raise StoreUnavailable(
                "the index changed during a read that took longer than MongoDB keeps its snapshots; "
                f"stop what writes to the index, or {KEEP_LONGER}, and repeat"
            )
        self._position, self._session = head["position"], session
        return session


def _after(
    found: AsyncCursor[Document], order: Sequence[str], last: Document | None
) -> AsyncCursor[Document]:
    """Put in order; from the ``last`` one on, if there is one, which need not be there any more."""
    ordered = found.sort([(part, 1) for part in order]).batch_size(_ROWS)
    if last is None:
        return ordered
    return ordered.hint([(part, 1) for part in order]).min([(part, last[part]) for part in order])


@asynccontextmanager
async def long_read(
    client: AsyncMongoClient[Document], database: Database
) -> AsyncIterator[LongRead]:
    """A read of what is durable, for as long as the block takes. Raises ``StoreUnavailable``."""
    with translated():
        async with AsyncExitStack() as opened:
            yield LongRead(client, database, opened)
