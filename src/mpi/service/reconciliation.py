"""What an outside provider could not be asked in time is asked after all, and what follows from its answer is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from mpi.domain.errand import SINCE, Errand, ErrandKind, LeasedErrand
from mpi.domain.identity import (
    Candidate,
    EventKind,
    IdentityChange,
    NewTask,
    PersonState,
    StoredRecord,
    TaskKind,
    TaskStatus,
    TaskUpdate,
    Told,
)
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import is_accepted, told_detail
from mpi.errors import ConcurrentChange, PreconditionFailed, ProviderLeftAlone, ProviderUnavailable
from mpi.matching.blocking import blocking_keys, keys_beside
from mpi.matching.decision import Outcome
from mpi.ports import AskedLater, IndexStore, Outbox, Resolution
from mpi.service.consequences import guarded, introduced_along, joining, tasks_of
from mpi.service.history import is_known_elsewhere
from mpi.service.refusals import UNTOLD, ask_a_steward
from mpi.service.retrying import Retrying
from mpi.service.task_settlement import undecided_about, with_answered

# Tried again at once: an errand that fails would cost another call of the provider.
_LATE = (ConcurrentChange, PreconditionFailed)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Runs the errands about records whose provider answers late."""

    store: IndexStore
    outbox: Outbox
    provider: AskedLater
    clock: Callable[[], datetime]
    retrying: Retrying

    async def post(self, leased: LeasedErrand) -> None:
        """Tell the provider of a record as it stands, unless it has accepted that last. Safe to repeat.

        What it takes for another patient's becomes a task. Raises ``ProviderUnavailable`` when there is no answer this
        time either.
        """
        (key,) = leased.errand.records
        record = await self._active(key)
        if record is None or (leased.errand.mark != SINCE and await self._is_accepted(record)):
            return
        while record is not None:
            home = await self.store.person(record.mpi_id or "")
            told = await self.provider.tell(record, home)
            await self._settle(told)
            # Told at the same time as a newer version, it may have come after that.
            now = await self._active(key)
            if now is None or now.digest == record.digest:
                await self._ask_if_refused(now, told.told)
                return
            record = now

    async def _ask_if_refused(self, record: StoredRecord | None, told: Told | None) -> None:
        """Whoever it has under the number moves nothing here, and nobody would know why."""
        if record is not None and told is not None and told.overlaid:
            await ask_a_steward(self.store, (record,), UNTOLD, told.provider, self.clock())

    async def follow(self, leased: LeasedErrand) -> None:
        """See where the provider has the records by now. Raises ``ProviderUnavailable``."""
        for key in leased.errand.records:
            record = await self._active(key)
            if record is None or not await self._is_known(record):
                continue
            home = await self.store.person(record.mpi_id or "")
            found = await self.provider.locate(record, home)
            if found.told is not None and not found.told.answered:
                raise _unavailable(found)
            if keys_beside(found) != keys_beside(record):
                await self._settle(found)

    async def _active(self, key: RecordKey) -> StoredRecord | None:
        record = await self.store.record(key)
        return record if record and record.status is RecordStatus.ACTIVE else None

    async def _settle(self, told: StoredRecord) -> None:
        if told.told is None or not told.told.answered:
            await self.retrying.run(partial(self._keep_others, told), _LATE)
            raise _unavailable(told)
        await self.retrying.run(partial(self._reconcile, told, told.told), _LATE)

    async def _is_known(self, record: StoredRecord) -> bool:
        """Whether what the provider has is the record as it stands. What waits is told, which tells where it is too."""
        post = Errand(ErrandKind.POST, (record.key,))
        if await self.outbox.lane_of(post) is not None and not await self._is_accepted(record):
            return False
        return await is_known_elsewhere(self.store, record)

    async def _is_accepted(self, record: StoredRecord) -> bool:
        versions = await self.store.versions(record.key)
        return is_accepted(record, versions, await self.store.record_events(record.key))

    async def _keep_others(self, told: StoredRecord) -> None:
        """What was said of others on this occasion counts, though nothing was said of the record."""
        position = await self.store.position()
        heard = replace(told, received_at=self.clock())
        others = await introduced_along(self.store, heard, position)
        if others:
            await self.store.commit(*others)

    async def _reconcile(self, told: StoredRecord, answer: Told) -> None:
        current = await self.store.record(told.key)
        if current is None or current.mpi_id is None or current.digest != told.digest:
            return  # what came since is another errand, or none
        person = await self.store.person(current.mpi_id)
        if person is None:
            raise ConcurrentChange("the person of the record went away meanwhile")
        record = replace(told, received_at=self.clock())
        found = await self.provider.resolve(record, blocking_keys(record.standard), home=person)
        merges, tasks, settled = await self._consequences(record, person, found)
        change = IdentityChange(
            kind=EventKind.UPDATED,
            at=record.received_at,
            actor=answer.provider,
            record=record,
            guard_keys=guarded(record, found),
            expected_versions=((person.mpi_id, person.version),),
            task_updates=settled,
            detail=told_detail(answer),
        )
        joined = [await with_answered(self.store, merge, settled) for merge in merges]
        along = await introduced_along(self.store, record, found.position)
        changes = (*along, change, *joined)
        *before, last = [replace(each, position=found.position) for each in changes]
        await self.store.commit(*before, replace(last, tasks=tasks))

    async def _consequences(
        self, record: StoredRecord, person: PersonState, found: Resolution
    ) -> tuple[tuple[IdentityChange, ...], tuple[NewTask, ...], tuple[TaskUpdate, ...]]:
        """Merges, new tasks and tasks that are settled; none where the provider has not decided."""
        if found.told is None:
            return (), (), ()
        if found.decision.outcome is Outcome.REVIEW:
            return (), tasks_of(record.key, found.decision), ()
        people: dict[str, Candidate] = {p.mpi_id: p for p in (*found.persons, person)}
        alone = len(person.records) == 1
        actor = found.told.provider
        merges = joining(person, found.decision, people, record, actor) if alone else ()
        tasks = tasks_of(record.key, found.decision)
        return merges, tasks, await self._settled(record, merges, actor)

    async def _settled(
        self, record: StoredRecord, merges: Sequence[IdentityChange], actor: str
    ) -> tuple[TaskUpdate, ...]:
        """The open tasks that asked what the provider has answered. One that a steward works on stays."""
        outcome = "same" if merges else "not-same"
        return tuple(
            TaskUpdate(task.task_id, TaskStatus.DECIDED, actor, outcome)
            for task in await undecided_about(self.store, record)
            if task.status is TaskStatus.OPEN and task.kind is TaskKind.REVIEW
        )


def _unavailable(told: StoredRecord) -> ProviderUnavailable:
    if told.told is None:
        return ProviderUnavailable("the provider gives no answer")
    kind = ProviderUnavailable if told.told.asked else ProviderLeftAlone
    return kind("the provider gives no answer", reason=told.told.outcome)
