"""What an outside provider said, as events keep it: members of ``detail["told"]``, without demographics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpi.domain.identity import KEPT_AS, TOLD, Event, EventKind, StoredRecord, Told, Verdict
from mpi.domain.record import RecordKey
from mpi.domain.versions import waiting_versions

_NAMES = ("outcome", "link_id", "score", "tracking_id", "audit_id")
_VERDICTS = "verdicts"
_CHOSEN = (EventKind.TASK_DECIDED, EventKind.UNDONE)


def told_detail(told: Told | None) -> dict[str, Any]:
    """The detail of an event that rests on what was told."""
    if told is None:
        return {}
    detail: dict[str, Any] = {"provider": told.provider}
    detail |= {name: said for name in _NAMES if (said := getattr(told, name)) is not None}
    if told.overlaid:
        detail["overlaid"] = True
    if not told.answered:
        detail["answered"] = False
    if told.verdicts:
        detail[_VERDICTS] = [[v.record.source, v.record.source_id, v.same] for v in told.verdicts]
    return {TOLD: detail}


def told_in(event: Event) -> Told | None:
    """What was told when the event happened, if anything was."""
    detail = event.detail.get(TOLD)
    if detail is None:
        return None
    verdicts = tuple(
        Verdict(RecordKey(source, source_id), same)
        for source, source_id, same in detail.get(_VERDICTS, ())
    )
    return Told(**{**detail, _VERDICTS: verdicts})


def last_said(current: StoredRecord, events: Sequence[Event]) -> Told | None:
    """What was answered last about a registration, by the events of it, as far as it holds of the current version.

    A version that was only kept is no evidence, whatever was said of it; nor is what was said of the version before
    one that a person made current: that was another patient's, perhaps.
    """
    chosen: int | None = None
    for event in reversed(events):
        if event.record != current.key or chosen not in (None, event.record_version):
            continue
        kept = KEPT_AS in event.detail
        if kept and event.record_version not in (chosen, current.version):
            continue
        told = told_in(event)
        if told is not None and told.answered:
            return told
        if event.kind in _CHOSEN and not kept and chosen is None:
            chosen = event.record_version
    return None


def is_heard(version: StoredRecord, events: Sequence[Event]) -> bool:
    """Whether what was answered last about a registration was about this version of it.

    What was refused as another patient's took the place of nothing there.
    """
    for event in reversed(events):
        told = told_in(event) if event.record == version.key else None
        if told is None or not told.answered:
            continue
        if event.record_version == version.version:
            return True
        if not told.overlaid:
            return False
    return False


def is_disputed(key: RecordKey, versions: Sequence[StoredRecord], events: Sequence[Event]) -> bool:
    """Whether it was told of a version that waits for a steward: what it says of the registration may be about that.

    Also if it did not take it, as stewards there may do so at any time.
    """
    waiting = {version.version for version in waiting_versions(versions)}
    return bool(waiting) and any(
        told_in(event)
        for event in events
        if event.record == key and event.record_version in waiting
    )
