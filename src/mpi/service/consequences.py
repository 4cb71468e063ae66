"""What follows from a decision beside the record itself: merges, tasks, errands, and what was said of others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mpi.domain.errand import Errand, ErrandKind, Lane
from mpi.domain.identity import (
    AUTOMATIC,
    NEW_PERSON,
    Assertion,
    AssertionKind,
    Candidate,
    EventKind,
    IdentityChange,
    NewTask,
    PersonState,
    RecordMove,
    StoredRecord,
    TaskKind,
)
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import told_detail
from mpi.matching.blocking import keys_beside, stored_keys
from mpi.matching.decision import Decision, Outcome
from mpi.ports import IndexStore, Resolution


def placement(
    record: StoredRecord, decision: Decision, people: dict[str, Candidate], actor: str
) -> tuple[str, tuple[IdentityChange, ...]]:
    """Where the record goes, and the merges of certain persons on that occasion (the oldest id survives)."""
    if decision.outcome is not Outcome.LINK or decision.mpi_id is None:
        return NEW_PERSON, ()
    together = (decision.mpi_id, *decision.merge)
    return min(together), _merges(together, people, record, actor)


def joining(
    person: PersonState,
    decision: Decision,
    people: dict[str, Candidate],
    record: StoredRecord,
    actor: str,
) -> tuple[IdentityChange, ...]:
    """A person of one record whose new version is somebody else: the two persons merge."""
    if decision.outcome is not Outcome.LINK or decision.mpi_id is None:
        return ()
    return _merges((person.mpi_id, decision.mpi_id, *decision.merge), people, record, actor)


def _merges(
    together: tuple[str, ...], people: dict[str, Candidate], record: StoredRecord, actor: str
) -> tuple[IdentityChange, ...]:
    """One merge for each person that is not the oldest, so that each can be undone by itself."""
    survivor = min(together)
    return tuple(
        IdentityChange(
            kind=EventKind.MERGED,
            at=record.received_at,
            actor=actor,
            moves=tuple(RecordMove(r.key, mpi_id, survivor) for r in people[mpi_id].records),
            retire=((mpi_id, survivor),),
            detail={AUTOMATIC: True},
        )
        for mpi_id in together
        if mpi_id != survivor
    )


def tasks_of(key: RecordKey, decision: Decision) -> tuple[NewTask, ...]:
    """What a steward is asked because of the decision."""
    if not decision.review:
        return ()
    kind = TaskKind.MERGE if decision.outcome is Outcome.LINK else TaskKind.REVIEW
    weight = decision.best.weight if decision.best else None
    return (NewTask(kind, key, decision.review, weight, decision.reason or "two_certain_persons"),)


def said_same(assertions: Iterable[Assertion]) -> tuple[Assertion, ...]:
    """Those that say that two records are one patient's."""
    return tuple(a for a in assertions if a.kind is AssertionKind.SAME)


def update_tasks(key: RecordKey, decision: Decision) -> tuple[NewTask, ...]:
    if decision.outcome is Outcome.LINK:
        return ()
    best = decision.best
    if best is None:  # an outside provider knows it for somebody else
        return tasks_of(key, decision)
    return (NewTask(TaskKind.UPDATE, key, (best.mpi_id,), best.weight, "no_longer_fits"),)


def errands_of(key: RecordKey, found: Resolution) -> tuple[Errand, ...]:
    """What an outside provider is still to be told: those first whose answer is provisional."""
    lane = Lane.REAL_TIME if found.provisional else Lane.BATCH
    return (Errand(ErrandKind.POST, (key,), lane),) if found.owed else ()


def as_current(record: StoredRecord, current: StoredRecord | None) -> StoredRecord:
    """A version that takes the place of ``current``, with what was told of it, if that can still be relied on.

    When another has become current since it was told, which of the two came last there is not known: no answer then.
    """
    told = record.told
    if told is None or told.instead_of == (current.version if current else 0):
        return record
    return replace(record, told=replace(told, answered=False))


def corrections(record: StoredRecord, status: RecordStatus | None = None) -> tuple[Errand, ...]:
    """What an outside provider is told again, which may have another version than the one that is current.

    That is, after it was told of one that is only kept with this ``status``, or came out of turn, or is current though
    it was refused. A version that waits may be another patient's: that is urgent.
    """
    told = record.told
    if told is None or not told.asked:
        return ()
    if (status is None) is (told.answered and not told.overlaid) or (status and told.overlaid):
        return ()
    lane = Lane.REAL_TIME if status is RecordStatus.PENDING else Lane.BATCH
    return (Errand(ErrandKind.POST, (record.key,), lane),)


def guarded(record: StoredRecord, found: Resolution) -> tuple[int, ...]:
    """The keys under which no record may have come or gone since a decision about this one."""
    return (*record.blocking_keys, *found.blocking_keys)


async def introduced_along(
    store: IndexStore, record: StoredRecord, position: int
) -> tuple[IdentityChange, ...]:
    """What an outside provider said, on this occasion, of records that are stored already.

    They are written back as they stand, so a change since the ``position`` of the index is a conflict.
    """
    changes = []
    for other in record.along:
        current = await store.record(other.key)
        if current is None or current.status is not RecordStatus.ACTIVE or other.told is None:
            continue
        keys = (*stored_keys(current.standard), *keys_beside(other))
        changes.append(
            IdentityChange(
                kind=EventKind.UPDATED,
                at=record.received_at,
                actor=other.told.provider,
                record=replace(current, blocking_keys=keys),
                guard_keys=current.blocking_keys,
                position=position,
                detail=told_detail(other.told),
            )
        )
    return tuple(changes)
