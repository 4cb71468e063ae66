"""The contracts with an index elsewhere that is to agree with ours, and with whoever counts the calls to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordKey


@dataclass(frozen=True, slots=True)
class Changes:
    """Hints of an index elsewhere that records have moved there.

    ``moved`` are the records that it named, each with its newest key; None where it does not say whose the record is.
    ``left`` are the keys that some have left: who is only reserved here, under one of these, is not named.
    """

    moved: Mapping[RecordKey, int | None]
    left: frozenset[int]


class Counterpart(Protocol):
    """An index elsewhere that follows what people decide here, as this one follows what changes there.

    Every method may raise ``ProviderUnavailable``, after which it is safe to repeat, and ``ProviderRefusal``.
    """

    @property
    def name(self) -> str:
        """As ``MPI_PROVIDER`` names it; the actor of what is done on its word."""
        ...

    @property
    def untold(self) -> frozenset[str]:
        """The sources whose records it never hears of."""
        ...

    async def tell(self, record: StoredRecord) -> StoredRecord:
        """Tell it of a record; the record as it is known there then (see :meth:`locate`)."""
        ...

    async def locate(self, records: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
        """The records as they are known there now: with what it says of them (``told``), under the key of that."""
        ...

    async def align(self, records: Sequence[StoredRecord]) -> bool:
        """Make the records one patient there exactly where they belong to one person here.

        Deleted ones are taken apart from others as if they still belonged to that person, and put together with none.
        Returns whether anything had to be changed for that: others may have changed their persons meanwhile.
        """
        ...

    async def retire(self, kept: StoredRecord, retired: RecordKey) -> None:
        """Replace one number of a patient by another of the same source, of which it is told if it does not know it."""
        ...

    async def changes(self, since: datetime, until: datetime) -> Changes:
        """What it told in that span of time, in any order, with any repetitions."""
        ...


class SharedPace(Protocol):
    """How often all processes together may do something. Raises ``CacheUnavailable`` or ``ConfigurationError``."""

    async def take(self, *, urgent: bool) -> tuple[float, float]:
        """Seconds to wait, 0 when it may be done now, which counts; and how often a second it may be done now.

        While somebody ``urgent`` waits, whoever is not waits longer.
        """
        ...

    async def slow_down(self, pause: float) -> None:
        """Halve the rate, which recovers slowly, and let nothing be done for ``pause`` seconds."""
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...
