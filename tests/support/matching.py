"""Persons made of comparison forms, for tests of matching alone."""

from __future__ import annotations

from datetime import UTC, datetime

from mpi.domain.identity import PersonState, StoredRecord
from mpi.domain.record import Demographics, Name, RecordKey, RecordStatus
from mpi.matching.record import StandardRecord

AT = datetime(2026, 1, 5, tzinfo=UTC)


def record_key(source_id: str) -> RecordKey:
    return RecordKey("lab", source_id)


def stored(source_id: str, standard: StandardRecord) -> StoredRecord:
    return StoredRecord(
        key=record_key(source_id),
        version=1,
        status=RecordStatus.ACTIVE,
        demographics=Demographics(),
        standard=standard,
        blocking_keys=(),
        digest=b"",
        received_at=AT,
    )


def person_of(mpi_id: str, *records: StandardRecord) -> PersonState:
    """A person whose records are called A1, A2 … when it is called A."""
    held = tuple(stored(f"{mpi_id}{n}", record) for n, record in enumerate(records, start=1))
    return PersonState(mpi_id, 1, active=True, records=held)


def newborn(given: str, **traits: object) -> Demographics:
    """A child of one birthday, under the name that it has or had on the labor ward."""
    return Demographics(names=(Name(given=given, family="Ott"),), dob="2024-05-02", **traits)  # type: ignore[arg-type]
