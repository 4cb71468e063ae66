"""Answers that are given again: only to queries, and only while nothing they rest on has changed.

Where the index stands is looked at before every answer, and what is found anywhere is compared with what has changed
since it was computed; so an answer is never older than the last commit that the store knows of.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b

from mpi.ports import AnswerCache, KeptAnswer, Resolution, SharedAnswers, Turn
from mpi.service.answers import MatchAnswer, kept_body, restored
from mpi.service.changes import RecentChanges

_KEY_BYTES = 16
_JITTER = 0.1
"""Answers made together expire over this part of their time, not all at once."""
_FIRST_LOOK, _LONGEST_PAUSE = 0.005, 0.1
"""Seconds between looks for the answer that another process is computing."""


class _Abandoned(Exception):
    """Whoever asked first went away before the answer came."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query that has been read. Equal meanings (what is asked, standardised, and all warnings) have equal answers."""

    meaning: Callable[[], bytes]
    ask: Callable[[], Awaitable[tuple[MatchAnswer, Resolution]]]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long answers are kept, in seconds, and the clock: seconds since 1970."""

    seconds: float
    now: Callable[[], float]

    def end(self) -> float:
        """When an answer expires that is made now."""
        return self.now() + self.seconds * (1 - _JITTER * random.random())  # noqa: S311 - no secret


class Recall:
    """The cache as the service uses it. ``hit`` and ``miss`` are told the tier.

    ``version`` names what decides at this moment. ``near`` keeps answers in this process, by the form of a query;
    ``shared`` for several processes, by its meaning.
    ``patience``: seconds to wait for an answer that another process is computing before computing it here too.
    """

    def __init__(
        self,
        near: AnswerCache | None,
        shared: SharedAnswers | None,
        changes: RecentChanges,
        secret: bytes,
        *,
        version: Callable[[], str],
        lifetime: Lifetime,
        hit: Callable[[str], None],
        miss: Callable[[str], None],
        patience: float = 5.0,
    ) -> None:
        self._near = near
        self._shared = shared
        self._changes = changes
        self._secret = secret
        self._version = version
        self._lifetime = lifetime
        self._hit = hit
        self._miss = miss
        self._patience = patience
        self._asking: dict[tuple[int, bytes], asyncio.Future[MatchAnswer]] = {}

    @property
    def tier(self) -> str | None:
        """Who keeps the answers that :meth:`find` finds, as ``served_from`` names it; None when nobody does."""
        return self._near.tier if self._near else None

    async def find(self, form: bytes) -> KeptAnswer | None:
        """What was answered to a query submitted in this form, if it still holds."""
        await self._changes.catch_up()
        return await self._find(self._digest(form))

    async def answer(self, form: bytes, read: Callable[[], Question]) -> MatchAnswer:
        """The kept answer, or that to the question, computed once for all who want it at the same time.

        Nobody joins who came after a later commit. An error goes to all of them, and nothing is kept.
        """
        version, key = self._version(), self._digest(form)
        while True:
            position = await self._changes.catch_up()
            kept = await self._find(key)
            if kept is not None:
                return restored(kept, self.tier or "")
            asking = self._asking.get((position, key))
            if asking is None:
                return await self._lead(position, key, version, read())
            try:
                return await asyncio.shield(asking)
            except _Abandoned:
                continue

    async def _find(self, key: bytes) -> KeptAnswer | None:
        if self._near is None:
            return None
        kept = await self._near.get(key)
        if kept is None or not self._changes.holds(kept):
            return None
        # At once: after waiting for anything it might hold no longer.
        renewed = self._changes.renewed(kept)
        if renewed is not kept:
            await self._near.put(key, renewed)
        self._hit(self._near.tier)
        return kept

    async def _lead(
        self, position: int, key: bytes, version: str, question: Question
    ) -> MatchAnswer:
        if self._near is not None:
            self._miss(self._near.tier)
        asking = asyncio.get_running_loop().create_future()
        self._asking[position, key] = asking
        try:
            if self._shared is None:
                answer, kept = await self._computed(question, position, version)
            else:
                answer, kept = await self._share(self._shared, question, version)
            if self._near is not None and kept is not None and version == self._version():
                await self._near.put(key, kept)
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

    async def _share(
        self, shared: SharedAnswers, question: Question, version: str
    ) -> tuple[MatchAnswer, KeptAnswer | None]:
        """The answer that some process has kept or is computing; ours, for all of them, if none has and none is."""
        key = self._digest(question.meaning())
        found = await shared.find(key, self._changes.holds)
        if found is None:
            turn, found = await self._await(shared, key)
            try:
                if found is None:
                    position = await self._changes.catch_up()
                    answer, kept = await self._computed(question, position, version)
                    if kept is not None:
                        await shared.keep(key, kept)
                    return answer, kept
            finally:
                if turn is not None:
                    await turn.end()
        tier, kept = found
        return restored(kept, tier), kept

    async def _await(
        self, shared: SharedAnswers, key: bytes
    ) -> tuple[Turn | None, tuple[str, KeptAnswer] | None]:
        """Our turn to compute the answer, or the answer of whoever had the turn."""
        pause, waited = _FIRST_LOOK, 0.0
        while True:
            turn = await shared.take_turn(key)
            # Whoever had the turn before may have kept the answer just now.
            found = await shared.find(key, self._changes.holds)
            if turn is not None or found is not None or waited >= self._patience:
                return turn, found
            await asyncio.sleep(pause)
            waited += pause
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            await self._changes.catch_up()

    async def _computed(
        self, question: Question, position: int, version: str
    ) -> tuple[MatchAnswer, KeptAnswer | None]:
        """What the provider answers, and how it is kept: said of the index as it was before it was asked.

        It is not kept when another ``version`` decides by now than when its key was made.
        """
        mark = self._changes.mark(position)
        answer, found = await question.ask()
        if version != self._version():
            return answer, None
        if mark is None or found.position < position or found.valid_until < found.position:
            return answer, None
        return answer, KeptAnswer(
            body=kept_body(answer),
            status=answer.status,
            tags=self._changes.tags(
                (person.mpi_id for person in found.persons), found.blocking_keys
            ),
            position=position,
            mark=mark,
            valid_until=found.valid_until,
            expires=self._lifetime.end(),
        )

    def _digest(self, value: bytes) -> bytes:
        """The key of an answer: that of another model is never met."""
        meant = b"%b\0%b" % (self._version().encode(), value)
        return blake2b(meant, key=self._secret, digest_size=_KEY_BYTES).digest()


def _fail(asking: asyncio.Future[MatchAnswer], error: Exception) -> None:
    asking.set_exception(error)
    asking.exception()  # seen: whether anybody else was waiting or not
