"""What an outside provider has said of pairs of records, from the events that rest on it: labels to learn from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from mpi.domain.record import RecordKey
from mpi.domain.told import told_in
from mpi.evaluation.training_data import COLUMNS, WHEN
from mpi.ports import IndexStore
from mpi.service.history import all_events

VERDICT_COLUMNS = (*COLUMNS, WHEN)


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """Whether two records were taken for one person ``when`` they were asked about."""

    one: RecordKey
    other: RecordKey
    same: bool
    when: datetime

    def row(self) -> tuple[str, ...]:
        """In the order of ``VERDICT_COLUMNS``."""
        said = "true" if self.same else "false"
        one, other = self.one, self.other
        return (one.source, one.source_id, other.source, other.source_id, said, str(self.when))


async def verdicts(store: IndexStore) -> AsyncIterator[PairVerdict]:
    """Every verdict, the oldest first. Of one pair the last counts.

    See :func:`mpi.evaluation.training_data.judged_pairs`.
    """
    async for event in all_events(store):
        told = told_in(event)
        if told is not None and event.record is not None:
            for said in told.verdicts:
                yield PairVerdict(event.record, said.record, said.same, event.at)
