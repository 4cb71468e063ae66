"""Answers that are given again: only to queries, and only while nothing they rest on has changed.

The store's position is looked at before every answer. When it has moved, by a commit of this process or of another,
what the events since then touched is forgotten first; so an answer is never older than the last commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from hashlib import blake2b

from mpi.domain.identity import Event
from mpi.domain.record import RecordKey
from mpi.ports import AnswerCache, IndexStore, KeptAnswer, Resolution
from mpi.service.answers import MatchAnswer, kept_body, restored

_MOST_EVENTS = 100
"""After more events than this, forgetting everything is cheaper than reading what each of them touched."""

_KEY_BYTES = 16
_TAG_BYTES = 8


class _Abandoned(Exception):
    """Whoever asked first went away before the answer came."""


class Recall:
    """The cache as the service uses it. ``hit`` and ``miss`` are told the tier."""

    def __init__(
        self,
        cache: AnswerCache,
        store: IndexStore,
        hmac_key: bytes,
        *,
        hit: Callable[[str], None],
        miss: Callable[[str], None],
    ) -> None:
        self._cache = cache
        self._store = store
        # BLAKE2 takes keys of at most 64 bytes; a setting may be longer.
        self._secret = blake2b(hmac_key, digest_size=32, person=b"mpi-recall").digest()
        self._hit = hit
        self._miss = miss
        self._seen = 0
        self._catching_up = asyncio.Lock()
        self._asking: dict[tuple[int, bytes], asyncio.Future[MatchAnswer]] = {}

    @property
    def tier(self) -> str:
        """Who keeps the answers, as ``served_from`` names it."""
        return self._cache.tier

    async def find(self, form: bytes) -> KeptAnswer | None:
        """What was answered to a query submitted in this form, if it still holds."""
        return await self._find(self._digest(form, _KEY_BYTES), await self._catch_up())

    async def answer(
        self, form: bytes, ask: Callable[[], Awaitable[tuple[MatchAnswer, Resolution]]]
    ) -> MatchAnswer:
        """The kept answer, or that of ``ask``, called once for all who want it at the same time.

        Nobody joins who came after a later commit. An error goes to all of them, and nothing is kept.
        """
        key = self._digest(form, _KEY_BYTES)
        while True:
            position = await self._catch_up()
            kept = await self._find(key, position)
            if kept is not None:
                return restored(kept, self._cache.tier)
            asking = self._asking.get((position, key))
            if asking is None:
                self._miss(self._cache.tier)
                return await self._lead(position, key, ask)
            try:
                return await asyncio.shield(asking)
            except _Abandoned:
                continue

    async def _lead(
        self,
        position: int,
        key: bytes,
        ask: Callable[[], Awaitable[tuple[MatchAnswer, Resolution]]],
    ) -> MatchAnswer:
        asking = asyncio.get_running_loop().create_future()
        self._asking[position, key] = asking
        try:
            answer, found = await ask()
            await self._cache.put(key, self._kept(answer, found))
        except Exception as error:
            _fail(asking, error)
            raise
        except asyncio.CancelledError:
            _fail(asking, _Abandoned())
            raise
        else:
            asking.set_result(answer)
            return answer
        finally:
            del self._asking[position, key]

    async def _find(self, key: bytes, position: int) -> KeptAnswer | None:
        kept = await self._cache.get(key)
        if kept is None or position > kept.valid_until:
            return None
        self._hit(self._cache.tier)
        return kept

    async def _catch_up(self) -> int:
        """Forget what has changed since the last look; returns where the index stands."""
        position = await self._store.position()
        if position == self._seen:
            return position
        async with self._catching_up:
            position = await self._store.position()
            if position != self._seen:
                await self._cache.forget(position, await self._touched(self._seen, position))
                self._seen = position
        return position

    async def _touched(self, start: int, end: int) -> set[bytes] | None:
        """The tags that events after ``start`` touched; None when that cannot be told or would take long."""
        if not 0 < end - start <= _MOST_EVENTS:
            return None
        events = await self._store.events(start, _MOST_EVENTS)
        keys = {
            key
            for record in _registrations(events)
            for version in await self._store.versions(record)
            for key in version.blocking_keys
        }
        persons = {mpi_id for event in events for mpi_id in event.persons}
        return self._tags(persons, keys)

    def _kept(self, answer: MatchAnswer, found: Resolution) -> KeptAnswer:
        tags = self._tags((person.mpi_id for person in found.persons), found.blocking_keys)
        return KeptAnswer(
            body=kept_body(answer),
            status=answer.status,
            tags=tuple(tags),
            position=found.position,
            valid_until=found.valid_until,
        )

    def _tags(self, persons: Iterable[str], keys: Iterable[int]) -> set[bytes]:
        tags = {mpi_id.encode() for mpi_id in persons}
        tags.update(self._digest(key.to_bytes(8), _TAG_BYTES) for key in keys)
        return tags

    def _digest(self, value: bytes, size: int) -> bytes:
        return blake2b(value, key=self._secret, digest_size=size).digest()


def _registrations(events: Iterable[Event]) -> set[RecordKey]:
    """Records whose content, and so whose keys, the events may have changed."""
    return {event.record for event in events if event.record is not None} | {
        move.key for event in events for move in event.moves if None in (move.origin, move.target)
    }


def _fail(asking: asyncio.Future[MatchAnswer], error: Exception) -> None:
    asking.set_exception(error)
    asking.exception()  # seen: whether anybody else was waiting or not
