"""Who is there now: the record of a key, the person behind an id, and whether it is the version that is meant."""

from __future__ import annotations

from mpi.domain.identity import ANY_VERSION, PersonState, StoredRecord
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import Gone, NotFound, PreconditionFailed
from mpi.ports import IdentityStore


async def current_record(store: IdentityStore, key: RecordKey) -> StoredRecord:
    """The version of a registration that counts. Raises ``NotFound``, or ``Gone`` when it was deleted."""
    record = await store.record(key)
    if record is None:
        raise NotFound("no record is registered under this source and source_id")
    if record.status is RecordStatus.DELETED:
        raise Gone("the record was deleted; its history remains")
    return record


async def end_of_aliases(store: IdentityStore, mpi_id: str) -> PersonState | None:
    """The person at the end of a chain of aliases, retired or not; None where nobody has the id."""
    person = await store.person(mpi_id)
    while person is not None and person.merged_into is not None:
        person = await store.person(person.merged_into)
    return person


async def surviving_person(store: IdentityStore, mpi_id: str) -> PersonState:
    """The person at the end of a chain of aliases, retired or not. Raises ``NotFound``."""
    person = await end_of_aliases(store, mpi_id)
    if person is None:
        raise NotFound("no person has this mpi_id")
    return person


def check_version(if_match: int | None, version: int | None, whose: str = "person") -> None:
    """Raises ``PreconditionFailed`` unless a caller who insists on a version means this one, or any."""
    if if_match not in (None, ANY_VERSION, version):
        raise PreconditionFailed(f"the {whose} has another version than If-Match names")


def expected(name: str, if_match: int | None) -> tuple[tuple[str, int], ...]:
    """What a change demands of a person or task whose caller insists on a version, if not on any."""
    return () if if_match is None or if_match == ANY_VERSION else ((name, if_match),)
