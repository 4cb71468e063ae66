"""The first tier: answers in the memory of one process, the least recently used ones go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from mpi.ports import KeptAnswer

_OVERHEAD = 700
"""Bytes that an answer takes beside its body and tags: objects and a slot of the table (measured on CPython 3.11)."""
_TAG_BYTES = 44
"""Bytes that a tag takes (measured likewise)."""


class MemoryCache:
    """See :class:`mpi.ports.AnswerCache`. ``now`` tells the time in seconds since 1970.

    Nothing here waits, so every call is atomic for the event loop it belongs to.
    """

    tier = "memory"

    def __init__(self, *, entries: int, size: int, now: Callable[[], float]) -> None:
        self._most_entries = entries
        self._most_bytes = size
        self._now = now
        self._answers: OrderedDict[bytes, KeptAnswer] = OrderedDict()
        self._bytes = 0

    async def get(self, key: bytes) -> KeptAnswer | None:
        """See :class:`mpi.ports.AnswerCache`."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        if self._now() >= answer.expires:
            self._drop(key)
            return None
        self._answers.move_to_end(key)
        return answer

    async def put(self, key: bytes, answer: KeptAnswer) -> None:
        """See :class:`mpi.ports.AnswerCache`. An answer larger than the whole tier is not kept."""
        if key in self._answers:
            self._drop(key)
        size = _size(answer)
        if size > self._most_bytes:
            return
        self._answers[key] = answer
        self._bytes += size
        while len(self._answers) > self._most_entries or self._bytes > self._most_bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: bytes) -> None:
        self._bytes -= _size(self._answers.pop(key))


def _size(answer: KeptAnswer) -> int:
    return _OVERHEAD + len(answer.body) + _TAG_BYTES * len(answer.tags)
