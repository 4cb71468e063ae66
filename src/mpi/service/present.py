"""Who is there now: the record of a key, the person behind an id."""

from __future__ import annotations

from mpi.domain.identity import PersonState, StoredRecord
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import Gone, NotFound
from mpi.ports import IdentityStore


async def current_record(store: IdentityStore, key: RecordKey) -> StoredRecord:
    """The version of a registration that counts. Raises ``NotFound``, or ``Gone`` when it was deleted."""
    record = await store.record(key)
    if record is None:
        raise NotFound("no record is registered under this source and source_id")
    if record.status is RecordStatus.DELETED:
        raise Gone("the record was deleted; its history remains")
    return record


async def surviving_person(store: IdentityStore, mpi_id: str) -> PersonState:
    """The person at the end of a chain of aliases, retired or not. Raises ``NotFound``."""
    person = await store.person(mpi_id)
    while person is not None and person.merged_into is not None:
        person = await store.person(person.merged_into)
    if person is None:
        raise NotFound("no person has this mpi_id")
    return person
