"""What an outside provider said, as events keep it: members of ``detail["told"]``, without demographics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Any

from mpi.domain.identity import KEPT_AS, TOLD, Event, EventKind, StoredRecord, Told, Verdict
from mpi.domain.record import RecordKey, RecordStatus
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

    A version that was only kept is no evidence, whatever was said of it; nor is what was said before the last deletion,
    or of the version before one that a person made current: that was another patient's, perhaps.
    """
    chosen: int | None = None
    for event in _backwards(current, events):
        if chosen not in (None, event.record_version):
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


def is_accepted(
    record: StoredRecord, versions: Sequence[StoredRecord], events: Sequence[Event]
) -> bool:
    """Whether what was accepted last under the number, since it was last deleted, says the same as this version."""
    event, _ = _accepted(record, events)
    return event is not None and _has_content(event, record, versions)


def is_known(
    record: StoredRecord, versions: Sequence[StoredRecord], events: Sequence[Event]
) -> bool:
    """Whether what an index elsewhere holds under the number is the patient who has it here: else it moves nothing.

    The version that was accepted last is the current one, or one that has merely been corrected since. Before a
    deletion, before a person made another version current, and as long as one that it was told of waits, the number
    may be another patient's there. A deleted record is taken as it was before that.
    """
    event, replaced = _accepted(record, events)
    if event is None or is_disputed(record.key, versions, events):
        return False
    is_correction = not replaced and KEPT_AS not in event.detail
    return is_correction or _has_content(event, record, versions)


def _accepted(record: StoredRecord, events: Sequence[Event]) -> tuple[Event | None, bool]:
    """What happened when a version was accepted last, and whether a person has made another one current since.

    What was refused took the place of nothing there.
    """
    replaced = False
    for event in _backwards(record, events):
        told = told_in(event)
        if told is not None and told.accepted:
            return event, replaced
        replaced = replaced or (event.kind in _CHOSEN and KEPT_AS not in event.detail)
    return None, replaced


def _backwards(record: StoredRecord, events: Sequence[Event]) -> Iterator[Event]:
    """The events about what the record says, the latest first, back to the deletion before it was registered anew."""
    own = [event for event in reversed(events) if event.record == record.key]
    if record.status is RecordStatus.DELETED:
        own = own[1:]
    return takewhile(lambda event: event.kind is not EventKind.DELETED, own)


def _has_content(event: Event, record: StoredRecord, versions: Sequence[StoredRecord]) -> bool:
    return any(v.version == event.record_version and v.digest == record.digest for v in versions)


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
