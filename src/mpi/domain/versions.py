"""The versions of a registration: which of them another one repeats, and which waits for a steward. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordStatus


def repeated(record: StoredRecord, versions: Sequence[StoredRecord]) -> list[StoredRecord]:
    """The versions of a record, given oldest first, that a registration repeats: it changes nothing.

    Messages are delivered twice and late, so what comes again after it was replaced is a repetition, unless it was
    recorded later than that version: then it is a correction. Nothing from before a deletion is repeated: the number
    may be another patient's by now.
    """
    return [
        version
        for version in since_deletion(versions)
        if version.digest == record.digest
        and (version.status is not RecordStatus.HISTORY or not _is_recorded_later(record, version))
    ]


def is_late(record: StoredRecord, current: StoredRecord) -> bool:
    """Whether it was recorded before the current version: it goes to the history only."""
    if record.recorded_at is None or current.recorded_at is None:
        return False
    return record.recorded_at < current.recorded_at


def is_superseded(
    record: StoredRecord, current: StoredRecord, versions: Sequence[StoredRecord]
) -> bool:
    """Whether it will not become the current version of a known record, or is it already."""
    return bool(repeated(record, versions)) or is_late(record, current)


def waiting_version(versions: Sequence[StoredRecord]) -> StoredRecord | None:
    """The version, of those given oldest first, that waits for a steward. What waited when it was deleted does not."""
    return next(reversed(waiting_versions(versions)), None)


def waiting_versions(versions: Sequence[StoredRecord]) -> list[StoredRecord]:
    """All that wait, oldest first: one at most, but where an earlier release left several."""
    return [v for v in since_deletion(versions) if v.status is RecordStatus.PENDING]


def since_deletion(versions: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
    """Those behind the last deletion: what came before it may have been another patient's."""
    deleted = [n for n, version in enumerate(versions) if version.status is RecordStatus.DELETED]
    return versions[deleted[-1] + 1 :] if deleted else versions


def _is_recorded_later(record: StoredRecord, version: StoredRecord) -> bool:
    known = version.recorded_at or version.received_at
    return record.recorded_at is not None and record.recorded_at > known
