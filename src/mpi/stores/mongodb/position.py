"""Where the index stands, known within this process: who reads it asks no server.

MongoDB tells of every change of the head (a change stream), its own silence included: it answers each question after
a quarter of a second at the latest. So what is known stays good for a while after the last question that it answered
with silence, counted from when that was sent. Where changes are many it is never silent, and may still be telling of
old ones: then the server is asked now and then as well. When what is known runs out – a stream was lost, the server
hangs, another one has become the primary – the server is asked as if there were no stream, until there is one again.
In silence it is asked once a second: a driver resumes a stream even over files of another day.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from pymongo.errors import PyMongoError

from mpi.errors import StoreUnavailable
from mpi.stores.mongodb.schema import HEAD, META, Database
from mpi.stores.mongodb.tail import Tail, told_by

GOOD_FOR = 0.7
"""Seconds. Others' commits have to be known within one, also when the driver resumes a stream that broke off."""
_LOOK = 1.0
"""Seconds after the last question at which the server is asked all the same, also in silence."""
_SILENCE = 0.25
"""Seconds for which the server waits for something to tell."""
_PAUSE = 0.5
"""Seconds between two attempts to be told. Meanwhile every read is a question of its own."""

_CHANGES = ["update", "replace"]
_TOLD: list[dict[str, Any]] = [
    {
        "$project": {
            "kind": "$operationType",
            "of": "$documentKey._id",
            "position": {
                "$ifNull": [
                    "$updateDescription.updatedFields.position",
                    "$fullDocument.position",
                ]
            },
            "touched": "$fullDocument.touched",
        }
    },
    # What begins a transaction changes the head as well; that is no news.
    {"$match": {"$or": [{"position": {"$type": "number"}}, {"kind": {"$nin": _CHANGES}}]}},
]


class KnownPosition:
    """The number of the last event. ``ask`` asks the server for it; ``timeout``: seconds for each of its answers.

    ``tail`` is given what a commit touched before its position is taken over.
    """

    def __init__(
        self,
        database: Database,
        ask: Callable[[], Awaitable[int]],
        tail: Tail,
        *,
        timeout: float,
    ) -> None:
        self._database = database
        self._ask = ask
        self._tail = tail
        self._silence = min(_SILENCE, timeout / 2)
        self._position = 0
        self._good_until = self._sure_at = -math.inf
        self._following: asyncio.Task[None] | None = None
        self._told = asyncio.Event()
        self._is_closed = False

    async def get(self) -> int:
        """What it is, or was a moment ago. The first call begins to follow it. Raises ``StoreUnavailable``."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow_always())
        return self._position if self.is_told else await self._ask()

    @property
    def is_told(self) -> bool:
        """Whether what is known is good without a question."""
        return monotonic() < self._good_until

    def reached(self, position: int) -> None:
        """An event of that number is durable. What this process has made so is known at once."""
        self._position = max(self._position, position)

    async def next_commit(self, seconds: float) -> None:
        """Wait until a commit is told, ``seconds`` at the most; as long where nothing is followed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()

    async def close(self) -> None:
        """Follow no more."""
        self._is_closed = True
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    async def _follow_always(self) -> None:
        # The driver may take a cancellation for the end of its own waiting: it is not to be relied on alone.
        while not self._is_closed:
            # What is wrong is told to who asks meanwhile: they get the error of their own question.
            with suppress(PyMongoError, StoreUnavailable):
                await self._follow()
            self._good_until = self._sure_at = -math.inf
            self._tail.clear()
            await asyncio.sleep(_PAUSE)

    async def _follow(self) -> None:
        """Until the stream is lost, or the head is not what it was: an index that was dropped or restored."""
        changes = await self._database[META].watch(
            _TOLD,
            max_await_time_ms=round(self._silence * 1000),
            batch_size=1,  # each answer is that to one question, so it is known how old silence may be
        )
        async with changes:
            self._position = 0
            while not self._is_closed:
                if monotonic() > self._sure_at + _LOOK and not await self._is_going_on():
                    return
                asked = monotonic()
                told = await changes.try_next()
                is_over = not changes.alive  # from then on it answers without asking
                if is_over or (told is not None and told["kind"] not in _CHANGES):
                    return
                if told is None:
                    self._good_until = asked + GOOD_FOR
                    continue
                if told["of"] == HEAD:
                    self._tail.add(told_by(told))
                    self.reached(told["position"])
                    self._told.set()
                    self._told.clear()
                if monotonic() > self._good_until - GOOD_FOR / 2 and not await self._is_going_on():
                    return

    async def _is_going_on(self) -> bool:
        """Ask where the index stands. It has never gone back, unless another one was put in its place."""
        known, self._sure_at = self._position, monotonic()
        position = await self._ask()
        if position < known:
            return False
        self.reached(position)
        self._good_until = self._sure_at + GOOD_FOR
        return True
