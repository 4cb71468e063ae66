"""What the last events touched: whether an answer from before them still holds.

The store says what each event touched, up to where the index stands now, and an answer is compared with that wherever
it was kept meanwhile. Events are counted: what the store was not told of, it reads. So no message can be missed, and
no tier has to forget anything.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b

import orjson

from mpi.ports import IndexStore, KeptAnswer

_MOST_EVENTS = 100
"""After more events than this since the last look, starting anew is cheaper than reading what each of them touched."""
_MOST_TAGS = 200_000
"""What some five thousand registrations touch, in about 30 MB."""

_TAG_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Change:
    seq: int
    mark: int
    tags: tuple[int, ...]


_BEGINNING = _Change(0, 0, ())
"""Before the first event every history is the same."""


class RecentChanges:
    """The history since some event, as far as answers depend on it. Belongs to one event loop.

    ``secret``: what tags are digested with, as they leave this process with the answers; None if they never do.
    ``lookback``: how many events before the first look are read as well, so that answers are usable that other
    processes have kept. ``most_tags`` bounds the memory: older events are forgotten, and answers from before them
    count as touched.
    """

    def __init__(
        self,
        store: IndexStore,
        secret: bytes | None,
        *,
        lookback: int = 0,
        most_tags: int = _MOST_TAGS,
    ) -> None:
        self._store = store
        self._has_secret = secret is not None
        self._keyed = blake2b(key=secret or b"", digest_size=_TAG_BYTES)
        self._lookback = lookback
        self._most_events = max(_MOST_EVENTS, lookback)
        self._most_tags = most_tags
        self._position = -1
        self._reading = asyncio.Lock()
        self._changes: deque[_Change] = deque()
        """In order. Of the first one only the mark is known: what came before it is not."""
        self._marks: dict[int, int] = {}
        self._touched: dict[int, int] = {}
        self._tags = 0

    async def catch_up(self) -> int:
        """Learn what has changed since the last look; returns where the index stands. Raises ``StoreUnavailable``."""
        position = await self._store.position()
        if position == self._position:
            return position
        async with self._reading:
            position = await self._store.position()
            if position != self._position:
                await self._follow(position)
        return self._position

    def holds(self, answer: KeptAnswer) -> bool:
        """Whether the answer is true of the index as it stood at the last look."""
        position = answer.position
        if self._marks.get(position) != answer.mark or self._position > answer.valid_until:
            return False
        if position == self._position:
            return True
        touched = self._touched
        return all(touched.get(tag, 0) <= position for tag in answer.tags)

    def mark(self, position: int) -> int | None:
        """The mark of an event that is still known, with which answers that are computed after it are labelled."""
        return self._marks.get(position)

    def renewed(self, answer: KeptAnswer) -> KeptAnswer:
        """An answer that holds, said of the last event: it outlives what is remembered of the events before."""
        mark = self._marks.get(self._position)
        if mark is None or answer.position == self._position:
            return answer
        return replace(answer, position=self._position, mark=mark)

    def tags(self, persons: Iterable[str], keys: Iterable[int]) -> tuple[int, ...]:
        """Keyed digests of persons and blocking keys; without a secret, numbers that mean something here only."""
        if not self._has_secret:
            return (*map(hash, persons), *keys)
        values = {mpi_id.encode() for mpi_id in persons}
        values.update(key.to_bytes(8) for key in keys)
        return tuple(map(self._digest, values))

    async def _follow(self, end: int) -> None:
        if self._changes and 0 < end - self._position <= self._most_events:
            changes = await self._read(self._position, end)
            if changes and changes[0].mark == self._changes[-1].mark:
                self._add(changes[1:], end)
                return
        # Too much has happened, or it is another history: an index that was restored.
        self._forget()
        self._add(await self._read(max(end - self._lookback, 0), end), end)

    async def _read(self, start: int, end: int) -> list[_Change]:
        """Event ``start``, of which only the mark counts, and those after it."""
        changes = [] if start else [_BEGINNING]
        for event in await self._store.touched(max(start, 1), end):
            mark = self._digest(orjson.dumps((event.seq, event.at, event.persons)))
            tags = self.tags(event.persons, event.keys) if event.seq > start else ()
            changes.append(_Change(event.seq, mark, tags))
        return changes

    def _add(self, changes: Iterable[_Change], end: int) -> None:
        for change in changes:
            self._changes.append(change)
            self._marks[change.seq] = change.mark
            self._touched.update(dict.fromkeys(change.tags, change.seq))
            self._tags += len(change.tags)
        self._position = end
        while self._tags > self._most_tags:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        del self._marks[self._changes.popleft().seq]
        oldest = self._changes[0]
        for tag in oldest.tags:
            if self._touched[tag] == oldest.seq:
                del self._touched[tag]
        self._tags -= len(oldest.tags)
        self._changes[0] = replace(oldest, tags=())

    def _forget(self) -> None:
        self._position = -1
        self._changes.clear()
        self._marks.clear()
        self._touched.clear()
        self._tags = 0

    def _digest(self, value: bytes) -> int:
        digest = self._keyed.copy()  # the key has been read: half the work
        digest.update(value)
        return int.from_bytes(digest.digest())
