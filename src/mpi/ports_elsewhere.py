"""The contract with an index elsewhere that is to agree with ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordKey


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

        Returns whether anything had to be changed for that: others may have changed their persons meanwhile.
        """
        ...

    async def retire(self, kept: RecordKey, retired: RecordKey) -> None:
        """Replace one number of a patient by another of the same source."""
        ...

    async def changes(self, since: datetime, until: datetime) -> Mapping[RecordKey, int | None]:
        """The records of which it told in that span of time that they have moved there: the newest key of each.

        None where it tells of the record, but not whose it is. In any order, with any repetitions.
        """
        ...
