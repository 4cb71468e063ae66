"""Whether a registration is one to tell Verato of, as the index stands: only what will be the current version is.

Verato keeps one version of a registration, and the last one told counts. What waits for a steward, because it looks
like another patient's, would be linked there with that patient's, and this number's patient with him.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mpi.domain.identity import AssertionKind, Candidate, StoredRecord
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.told import is_disputed
from mpi.domain.versions import is_superseded
from mpi.matching.overlays import overlays
from mpi.ports import IndexStore


@dataclass(frozen=True, slots=True)
class Standing:
    """``current`` is the active version that it would replace, if any; ``version`` the last that was, 0 if none was."""

    current: StoredRecord | None
    version: int
    tellable: bool


async def standing(store: IndexStore, record: StoredRecord) -> Standing:
    """How the index stands to a registration that is to be enrolled."""
    current = await store.record(record.key)
    if current is None or current.status is RecordStatus.DELETED:
        return Standing(None, 0 if current is None else current.version, tellable=True)
    untold = is_superseded(record, current, await store.versions(record.key))
    tellable = not untold and not overlays(current.standard, record.standard)
    return Standing(current, current.version, tellable=tellable)


async def parted(store: IndexStore, key: RecordKey) -> set[RecordKey]:
    """The records of which people say that they are another patient's than this one."""
    said = await store.assertions([key])
    others = (a.other(key) for a in said if a.kind is AssertionKind.NOT_SAME)
    return {other for other in others if other is not None}


async def disputed(store: IndexStore, persons: Iterable[Candidate]) -> set[RecordKey]:
    """The records of these persons that Verato has as a version that waits for a steward: it names another patient."""
    found = set()
    for key in [record.key for person in persons for record in person.records]:
        versions = await store.versions(key)
        if any(version.status is RecordStatus.PENDING for version in versions):
            events = await store.record_events(key)
            if is_disputed(key, versions, events):
                found.add(key)
    return found
