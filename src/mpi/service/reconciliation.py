"""What an outside provider could not be asked in time is asked after all, and what follows from its answer is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from mpi.domain.errand import Errand, ErrandKind, LeasedErrand
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
from mpi.domain.told import is_heard, told_detail
from mpi.errors import ConcurrentChange, PreconditionFailed, ProviderLeftAlone, ProviderUnavailable
from mpi.matching.blocking import blocking_keys, keys_beside
from mpi.matching.decision import Outcome
from mpi.ports import AskedLater, IndexStore, Outbox, Resolution
from mpi.service.consequences import guarded, introduced_along, joining, tasks_of
from mpi.service.history import disputed
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
        """Tell the provider of a record as it stands, unless it has answered about it. Safe to repeat.

        Raises ``ProviderUnavailable`` when there is no answer this time either.
        """
        (key,) = leased.errand.records
        record = await self._active(key)
        if record is None or await self._heard(record):
            return
        while record is not None:
            home = await self.store.person(record.mpi_id or "")
            await self._settle(await self.provider.tell(record, home))
            # Told at the same time as a newer version, it may have come after that.
            now = await self._active(key)
            record = now if now is not None and now.digest != record.digest else None

    async def follow(self, leased: LeasedErrand) -> None:
        """See where the provider has the records by now. Raises ``ProviderUnavailable``."""
        for key in leased.errand.records:
            record = await self._active(key)
            if record is None or await self._is_about_another_version(record):
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

    async def _is_about_another_version(self, record: StoredRecord) -> bool:
        """Whether what the provider has is older than the record, and telling of it tells where it is as well; or is a
        version that a steward has not decided about."""
        post = Errand(ErrandKind.POST, (record.key,))
        if await self.outbox.lane_of(post) is not None and not await self._heard(record):
            return True
        return await disputed(self.store, record.key)

    async def _heard(self, record: StoredRecord) -> bool:
        """Whether the provider has answered about the record as it stands."""
        return is_heard(record, await self.store.record_events(record.key))

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
