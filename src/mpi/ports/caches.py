"""Where answers are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mpi.domain.record import Guarded


@dataclass(frozen=True, slots=True, repr=False)
class KeptAnswer(Guarded):
    """An answer to a query, without what belongs to one request only (id, timing, who served it).

    ``body`` is its JSON object. It was computed from an index in which event ``position`` had happened, and that event
    bore the ``mark``: a position alone does not tell an index from one that was restored and grew again. It rests on
    what bears the ``tags``, keyed digests of persons and blocking keys, and holds until an event after ``position``
    touches one of them, at most up to event ``valid_until`` and the time ``expires`` (seconds since 1970).

    So it brings with it all that has to be known to tell whether it still holds, wherever it was kept.
    """

    body: bytes
    status: str
    tags: tuple[int, ...]
    position: int
    mark: int
    valid_until: int
    expires: float


class AnswerCache(Protocol):
    """One tier of the cache: a place that may lose any answer at any time.

    It does not know whether an answer still holds; whoever gets one has to find out. Raises ``CacheUnavailable``, or
    ``ConfigurationError`` when it is never going to work as it is configured.
    """

    @property
    def tier(self) -> str:
        """As ``MPI_CACHE`` names it."""
        ...

    async def get(self, key: bytes) -> KeptAnswer | None:
        """What was put under the key, exactly as it was put, unless it has expired."""
        ...

    async def put(self, key: bytes, answer: KeptAnswer) -> None:
        """Keep an answer instead of the one before, at most until it expires."""
        ...


class RemoteCache(AnswerCache, Protocol):
    """A tier on a server, which several processes share."""

    async def check(self) -> None:
        """Ask the server for nothing but a sign of life. Raises as the others do, with the remedy."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class Turn(Protocol):
    """The right to compute one answer while others wait for it. It ends by itself after a while."""

    async def end(self) -> None:
        """Let others go on."""
        ...


class CoordinatingCache(RemoteCache, Protocol):
    """A tier that also lets one of several processes compute an answer that all of them want."""

    async def take(self, key: bytes) -> Turn | None:
        """The turn to compute the answer, or None when somebody else has it."""
        ...


class SharedAnswers(Protocol):
    """The remote tiers together. Whatever happens to them, no method raises or waits for long."""

    async def find(
        self, key: bytes, holds: Callable[[KeptAnswer], bool]
    ) -> tuple[str, KeptAnswer] | None:
        """The first tier, in their order, whose answer holds, and that answer."""
        ...

    async def keep(self, key: bytes, answer: KeptAnswer) -> None:
        """Put the answer into every tier that can take it."""
        ...

    async def take_turn(self, key: bytes) -> Turn | None:
        """The right to compute the answer; None when another process has it."""
        ...
