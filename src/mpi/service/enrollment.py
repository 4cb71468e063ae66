"""Registering: a decision becomes one change of identity, retried when somebody was faster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from mpi.domain.errand import SINCE, Errand, ErrandKind, Lane
from mpi.domain.identity import (
    KEPT_AS,
    NEW_PERSON,
    Candidate,
    Committed,
    EventKind,
    IdentityChange,
    NewTask,
    RecordMove,
    StoredRecord,
    TaskKind,
)
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import told_detail
from mpi.domain.versions import is_late, repeated, since_deletion, waiting_version, waiting_versions
from mpi.errors import ConcurrentChange, PreconditionFailed
from mpi.matching.blocking import BlockingKeys
from mpi.matching.decision import Outcome
from mpi.matching.overlays import overlays
from mpi.ports import IndexStore, Outbox, Provider, Resolution
from mpi.service.consequences import (
    as_current,
    corrections,
    errands_of,
    guarded,
    introduced_along,
    joining,
    placement,
    said_same,
    tasks_of,
    update_tasks,
)
from mpi.service.lookup import check_version
from mpi.service.retrying import Retrying
from mpi.service.task_settlement import superseded, undecided_about, with_answered

Expected = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of a registration: its person, what the provider found, and the event (None for a replay)."""

    mpi_id: str | None
    status: str
    found: Resolution | None
    committed: Committed | None
    task_id: str | None
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Enrollment:
    """Registers and updates records in a store.

    The ``outbox`` holds what the provider is told again; None: it is told nothing. ``asked_later``: it may be asked
    then only, and until then an answer is provisional.
    """

    store: IndexStore
    provider: Provider
    retrying: Retrying
    outbox: Outbox | None = None
    asked_later: bool = False

    async def register(
        self,
        record: StoredRecord,
        keys: BlockingKeys,
        *,
        actor: str,
        if_match: int | None = None,
        create_only: bool = False,
    ) -> Enrolled:
        """Store the record and settle whose it is. Safe to repeat.

        Raises ``PreconditionFailed`` when the person that holds the record is not at version ``if_match``, or
        somebody holds it and ``create_only`` is asked; ``ConcurrentChange`` when others kept being faster.
        """
        try:
            return await self.retrying.run(
                partial(self._attempt, record, keys, actor, if_match, create_only=create_only)
            )
        except PreconditionFailed:
            # It held when the record was told. What is current here is told again, instead of what is not stored.
            again = [replace(e, mark=SINCE) for e in corrections(record, RecordStatus.PENDING)]
            if again and self.outbox is not None:
                await self.outbox.queue(again)
            raise

    async def check(
        self, key: RecordKey, if_match: int | None = None, *, create_only: bool = False
    ) -> None:
        """Raises ``PreconditionFailed`` as a registration of this key would now."""
        if if_match is not None or create_only:
            await self._demanded(key, if_match, create_only=create_only)

    async def _attempt(
        self,
        record: StoredRecord,
        keys: BlockingKeys,
        actor: str,
        if_match: int | None,
        *,
        create_only: bool,
    ) -> Enrolled:
        current, expected = await self._demanded(record.key, if_match, create_only=create_only)
        if current is None or current.status is RecordStatus.DELETED:
            if current is not None and overlays(current.standard, record.standard):
                await self._withdraw(record, actor)
            kind = None if current is None else EventKind.REVIVED
            return await self._place(as_current(record, current), keys, actor, kind)
        try:
            return await self._update(record, keys, actor, current, expected)
        except PreconditionFailed as error:
            # Somebody was faster than this attempt; the next one sees whether the condition still holds.
            raise ConcurrentChange("the person changed meanwhile") from error

    async def _withdraw(self, record: StoredRecord, actor: str) -> None:
        """What people said that this number is the same as was said of another patient, who had it before."""
        said = said_same(await self.store.assertions((record.key,)))
        if said:
            why = "the number came back with the content of another patient"
            await self.store.commit(
                IdentityChange(EventKind.LIFTED, record.received_at, actor, why, lift=said)
            )

    async def _demanded(
        self, key: RecordKey, if_match: int | None, *, create_only: bool
    ) -> tuple[StoredRecord | None, Expected]:
        """The current version, and what a client who insists on one demands of its person."""
        current = await self.store.record(key)
        if create_only and current is not None and current.mpi_id is not None:
            raise PreconditionFailed("the record is registered already")
        return current, await self._expected(current, if_match)

    async def _expected(self, current: StoredRecord | None, if_match: int | None) -> Expected:
        """The version of the record's person that the change insists on: the one the client has seen."""
        if if_match is None:
            return ()
        holder = None if current is None else current.mpi_id
        person = await self.store.person(holder or "")
        if person is None:
            raise PreconditionFailed("nobody holds the record that If-Match insists on")
        check_version(if_match, person.version)
        return ((person.mpi_id, person.version),)

    async def _place(
        self, record: StoredRecord, keys: BlockingKeys, actor: str, kind: EventKind | None
    ) -> Enrolled:
        """A record without a person: link, review or mint."""
        found = await self.provider.resolve(record, keys)
        people = {person.mpi_id: person for person in found.persons}
        home, merges = placement(record, found.decision, people, actor)
        default = EventKind.CREATED if home == NEW_PERSON else EventKind.LINKED
        change = IdentityChange(
            kind=kind or default,
            at=record.received_at,
            actor=actor,
            record=record,
            moves=(RecordMove(record.key, None, home),),
            tasks=tasks_of(record.key, found.decision),
            guard_keys=guarded(record, found),
            detail=told_detail(record.told),
            errands=errands_of(record.key, found) or corrections(record),
        )
        # The merges first: undone, they leave the record as one that came later.
        joined = [await with_answered(self.store, merge) for merge in merges]
        along = await introduced_along(self.store, record, found.position)
        changes = (*along, *joined, change)
        first, *rest = [replace(each, position=found.position) for each in changes]
        committed = await self.store.commit(first, *rest)
        return _enrolled(found, committed)

    async def _update(
        self,
        record: StoredRecord,
        keys: BlockingKeys,
        actor: str,
        current: StoredRecord,
        expected: Expected,
    ) -> Enrolled:
        versions = await self.store.versions(record.key)
        waiting = waiting_version(versions)
        known = repeated(record, versions)
        # A version for which nobody is asked was left waiting by an earlier release: it is asked about now.
        unasked = waiting in known and await self._open_task(current) is None
        if known and not unasked:
            return await self._replay(current, pending=waiting in known)
        if is_late(record, current):
            return await self._keep(record, RecordStatus.HISTORY, actor, current, (), expected)
        overlaid = record.told is not None and record.told.overlaid
        if overlaid or overlays(current.standard, record.standard):
            task = NewTask(TaskKind.OVERLAY, record.key, (_owner(current),), None, "overlay")
            return await self._keep(record, RecordStatus.PENDING, actor, current, (task,), expected)
        return await self._replace(as_current(record, current), keys, actor, current, expected)

    async def _replay(self, current: StoredRecord, *, pending: bool) -> Enrolled:
        task = await self._open_task(current)
        status = "review" if pending or task is not None else "matched"
        provisional = pending or await self._is_in_question(current.key)
        return Enrolled(current.mpi_id, status, None, None, task, provisional=provisional)

    async def _is_in_question(self, key: RecordKey) -> bool:
        """Whether the provider is still to be asked about the record; what it is only told of is in the other lane."""
        if self.outbox is None or not self.asked_later:
            return False
        return await self.outbox.lane_of(Errand(ErrandKind.POST, (key,))) is Lane.REAL_TIME

    async def _open_task(self, record: StoredRecord) -> str | None:
        """The latest task about the record that waits for a decision."""
        found = await undecided_about(self.store, record)
        return found[-1].task_id if found else None

    async def _keep(
        self,
        record: StoredRecord,
        status: RecordStatus,
        actor: str,
        current: StoredRecord,
        tasks: tuple[NewTask, ...],
        expected: Expected,
    ) -> Enrolled:
        """Keep a version that does not become the current one."""
        # No older than what is read next: whoever was faster may have made another version wait, or deleted the record.
        position = (await self.store.candidates(())).position
        versions = await self.store.versions(record.key)
        if all(v.version != current.version for v in since_deletion(versions)):
            raise ConcurrentChange("the record was deleted meanwhile")
        waited = waiting_versions(versions) if tasks else []
        if waited:
            if waited[-1].digest == record.digest and await self._open_task(current):
                raise ConcurrentChange("the same content has come meanwhile")
            if is_late(record, waited[-1]):
                status, tasks = RecordStatus.HISTORY, ()
        change = IdentityChange(
            kind=EventKind.UPDATED,
            at=record.received_at,
            actor=actor,
            record=replace(record, status=status),
            tasks=tasks,
            expected_versions=expected,
            position=position,
            detail={KEPT_AS: status.value} | told_detail(record.told),
            errands=corrections(record, status),
        )
        along = await introduced_along(self.store, record, position)
        ended = await superseded(self.store, current, tasks, actor, record.received_at, waited)
        first, *rest = (*along, *ended, change)
        committed = await self.store.commit(first, *rest)
        task = committed.task_ids[0] if tasks else await self._open_task(current)
        status_word = "review" if tasks else "matched"
        return Enrolled(current.mpi_id, status_word, None, committed, task, provisional=bool(tasks))

    async def _replace(
        self,
        record: StoredRecord,
        keys: BlockingKeys,
        actor: str,
        current: StoredRecord,
        expected: Expected,
    ) -> Enrolled:
        """A new version: a record among others stays and may raise a task, a record alone may join another person."""
        person = await self.store.person(_owner(current))
        if person is None:
            raise ConcurrentChange("the person of the record went away meanwhile")
        found = await self.provider.resolve(record, keys, home=person)
        merges: tuple[IdentityChange, ...] = ()
        if len(person.records) > 1:
            tasks = update_tasks(record.key, found.decision)
        else:
            people: dict[str, Candidate] = {p.mpi_id: p for p in (*found.persons, person)}
            merges = joining(person, found.decision, people, record, actor)
            tasks = tasks_of(record.key, found.decision)
        change = IdentityChange(
            kind=EventKind.UPDATED,
            at=record.received_at,
            actor=actor,
            record=record,
            guard_keys=guarded(record, found),
            expected_versions=expected or ((person.mpi_id, person.version),),
            detail=told_detail(record.told),
            errands=errands_of(record.key, found) or corrections(record),
        )
        joined = [await with_answered(self.store, merge) for merge in merges]
        along = await introduced_along(self.store, record, found.position)
        ended = await superseded(self.store, current, tasks, actor, record.received_at)
        changes = (*along, *ended, change, *joined)
        *before, last = [replace(each, position=found.position) for each in changes]
        committed = await self.store.commit(*before, replace(last, tasks=tasks))
        enrolled = _enrolled(found, committed)
        status = "review" if tasks else "matched"
        mine = await self.store.record(record.key)
        return replace(enrolled, status=status, mpi_id=mine.mpi_id if mine else None)


def _owner(record: StoredRecord) -> str:
    if record.mpi_id is None:
        raise ConcurrentChange("the record lost its person meanwhile")
    return record.mpi_id


def _enrolled(found: Resolution, committed: Committed) -> Enrolled:
    status = {Outcome.LINK: "matched", Outcome.REVIEW: "review", Outcome.NEW: "created"}[
        found.decision.outcome
    ]
    task = committed.task_ids[0] if committed.task_ids else None
    return Enrolled(committed.mpi_id, status, found, committed, task, found.provisional)
