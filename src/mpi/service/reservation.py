"""Whom only an outside provider knows gets an id of ours when first asked for, and keeps it.

What stands for such a patient until a registration comes is a record without demographics, named by the provider and
its link id: a store finds, guards and keeps it like any other, and two who ask at once get one id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mpi.domain.identity import StoredRecord
from mpi.domain.record import Demographics, RecordKey, Submission
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Outcome
from mpi.ports import Provider, Resolution
from mpi.service.enrollment import Enrollment
from mpi.service.preparation import Preparation


@dataclass(frozen=True, slots=True)
class Reservation:
    """Answers queries, also about those whom nobody has registered here."""

    provider: Provider
    prepare: Preparation
    enrollment: Enrollment

    async def query(self, record: StoredRecord, keys: BlockingKeys) -> Resolution:
        """As :meth:`mpi.ports.Provider.query`, but whom only the provider knows has an id of ours afterwards."""
        found = await self.provider.query(record, keys)
        told = found.told
        if told is None or told.link_id is None or found.decision.outcome is not Outcome.NEW:
            return found
        reserved, none = self.prepare.record(
            Submission(Demographics(), RecordKey(told.provider, told.link_id))
        )
        reserved = replace(reserved, blocking_keys=found.blocking_keys, told=told)
        await self.enrollment.register(reserved, none, actor=told.provider)
        return await self.provider.query(replace(record, told=told), keys)
