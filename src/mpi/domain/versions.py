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
        for version in _since_deletion(versions)
        if version.digest == record.digest
        and (version.status is not RecordStatus.HISTORY or not _is_recorded_later(record, version))
    ]


def waiting_version(versions: Sequence[StoredRecord]) -> StoredRecord | None:
    """The version, of those given oldest first, that waits for a steward. What waited when it was deleted does not."""
    pending = (v for v in _since_deletion(versions) if v.status is RecordStatus.PENDING)
    return max(pending, key=lambda version: version.version, default=None)


def _since_deletion(versions: Sequence[StoredRecord]) -> Sequence[StoredRecord]:
    deleted = [n for n, version in enumerate(versions) if version.status is RecordStatus.DELETED]
    return versions[deleted[-1] + 1 :] if deleted else versions


def _is_recorded_later(record: StoredRecord, version: StoredRecord) -> bool:
    if record.recorded_at is None:
        return False
    return version.recorded_at is None or record.recorded_at > version.recorded_at
