"""Changes of identity in the fewest words, for the tests of stores."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mpi.domain.identity import (
    NEW_PERSON,
    Assertion,
    AssertionKind,
    EventKind,
    IdentityChange,
    NewTask,
    PersonState,
    RecordMove,
    StoredRecord,
    TaskKind,
)
from mpi.domain.record import Demographics, Identifier, Name, RecordKey, RecordStatus
from mpi.matching.blocking import BlockingKeys
from mpi.matching.record import StandardRecord
from mpi.ports import IdentityStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def key(source_id: str, source: str = "HOSP-A") -> RecordKey:
    return RecordKey(source, source_id)


def record(
    source_id: str,
    *keys: int,
    family: str = "SMITH",
    status: RecordStatus = RecordStatus.ACTIVE,
    source: str = "HOSP-A",
) -> StoredRecord:
    """A registration. Its digest follows from the name, as a real one follows from the content."""
    return StoredRecord(
        key=key(source_id, source),
        version=0,
        status=status,
        demographics=Demographics(
            names=(Name(given="John", family=family.title()),),
            dob="1980-01-01",
            identifiers=(Identifier("MRN", source_id, source),),
        ),
        standard=StandardRecord(given=("JOHN",), family=(family,), dob="1980-01-01"),
        blocking_keys=keys,
        digest=hashlib.sha256(family.encode()).digest(),
        received_at=NOON,
        recorded_at=NOON - timedelta(days=1),
        warnings=(("phone", "unreadable"),),
    )


def change(kind: EventKind = EventKind.UPDATED, **fields: Any) -> IdentityChange:
    return IdentityChange(kind=kind, at=NOON, actor="tester", **fields)


def move(source_id: str, origin: str | None, target: str | None) -> RecordMove:
    return RecordMove(key(source_id), origin, target)


def create(source_id: str, *keys: int, family: str = "SMITH", **fields: Any) -> IdentityChange:
    """Register a record that nobody matches."""
    return change(
        EventKind.CREATED,
        record=record(source_id, *keys, family=family),
        moves=(move(source_id, None, NEW_PERSON),),
        **fields,
    )


def link(source_id: str, mpi_id: str, *keys: int, **fields: Any) -> IdentityChange:
    """Register a record of a known person."""
    return change(
        EventKind.LINKED,
        record=record(source_id, *keys),
        moves=(move(source_id, None, mpi_id),),
        **fields,
    )


def delete(source_id: str, mpi_id: str, *, last: bool = False, **fields: Any) -> IdentityChange:
    """Retire a registration; ``last`` retires its person with it."""
    return change(
        EventKind.DELETED,
        record=record(source_id, status=RecordStatus.DELETED),
        moves=(move(source_id, mpi_id, None),),
        retire=((mpi_id, None),) if last else (),
        **fields,
    )


def merge(survivor: str, retired: PersonState, **fields: Any) -> IdentityChange:
    """Move all records of a person to another; its id becomes an alias."""
    return change(
        EventKind.MERGED,
        moves=tuple(RecordMove(r.key, retired.mpi_id, survivor) for r in retired.records),
        retire=((retired.mpi_id, survivor),),
        **fields,
    )


def asserted(kind: AssertionKind, left: str, right: str) -> Assertion:
    return Assertion(kind, key(left), key(right), "steward", "seen together", NOON)


def not_same(left: str, right: str) -> Assertion:
    return asserted(AssertionKind.NOT_SAME, left, right)


def review(source_id: str, *candidates: str, kind: TaskKind = TaskKind.REVIEW) -> NewTask:
    return NewTask(kind, key(source_id), candidates, 3.5, "ambiguous")


def as_stored(submitted: StoredRecord, version: int, mpi_id: str | None) -> StoredRecord:
    """What a store answers for a record submitted that way."""
    return replace(submitted, version=version, mpi_id=mpi_id)


def plain(*keys: int) -> BlockingKeys:
    """Blocking keys without narrower ones."""
    return tuple((k, ()) for k in keys)


async def created(store: IdentityStore, source_id: str, *keys: int) -> str:
    """Register a record as a person of its own; returns the person's id."""
    made = await store.commit(create(source_id, *keys))
    assert made.mpi_id is not None
    return made.mpi_id


async def merged(store: IdentityStore, survivor: str, retired: str) -> None:
    person = await store.person(retired)
    assert person is not None
    await store.commit(merge(survivor, person))
