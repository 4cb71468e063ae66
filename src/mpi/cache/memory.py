"""The first tier: answers in the memory of one process, the least recently used ones go first."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from mpi.ports import KeptAnswer

_OVERHEAD = 600
"""Bytes that an entry takes beside its own: objects and slots of tables (measured on CPython 3.11)."""
_TAG_BYTES = 220
"""Bytes that a tag takes in its entry and in the table of tags, most of them there (measured likewise)."""
_JITTER = 0.1
"""Entries made together end over this part of their time, not all at once."""


@dataclass(frozen=True, slots=True)
class _Entry:
    answer: KeptAnswer
    ends: float
    size: int


class MemoryCache:
    """See :class:`mpi.ports.AnswerCache`. ``ticks`` is a monotonic clock in seconds, as ``ttl`` is.

    Nothing here waits, so every call is atomic for the event loop it belongs to.
    """

    tier = "memory"

    def __init__(self, *, ttl: float, entries: int, size: int, ticks: Callable[[], float]) -> None:
        self._ttl = ttl
        self._most_entries = entries
        self._most_bytes = size
        self._ticks = ticks
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._tagged: dict[bytes, set[bytes]] = {}
        self._bytes = 0
        self._forgotten = 0

    async def get(self, key: bytes) -> KeptAnswer | None:
        """See :class:`mpi.ports.AnswerCache`."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._ticks() >= entry.ends:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.answer

    async def put(self, key: bytes, answer: KeptAnswer) -> None:
        """See :class:`mpi.ports.AnswerCache`. An answer larger than the whole tier is not kept."""
        if answer.position < self._forgotten:
            return
        size = _OVERHEAD + len(answer.body) + _TAG_BYTES * len(answer.tags)
        if key in self._entries:
            self._drop(key)
        if size > self._most_bytes:
            return
        ttl = self._ttl * (1 - _JITTER * random.random())  # noqa: S311 - spreads endings
        self._entries[key] = _Entry(answer, self._ticks() + ttl, size)
        self._bytes += size
        for tag in answer.tags:
            self._tagged.setdefault(tag, set()).add(key)
        while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
            self._drop(next(iter(self._entries)))

    async def forget(self, position: int, tags: Collection[bytes] | None) -> None:
        """See :class:`mpi.ports.AnswerCache`."""
        self._forgotten = position
        if tags is None:
            self._entries.clear()
            self._tagged.clear()
            self._bytes = 0
            return
        for tag in tags:
            for key in tuple(self._tagged.get(tag, ())):
                self._drop(key)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key)
        self._bytes -= entry.size
        for tag in entry.answer.tags:
            keys = self._tagged[tag]
            keys.discard(key)
            if not keys:
                del self._tagged[tag]
