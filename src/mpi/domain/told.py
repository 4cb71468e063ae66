"""What an outside provider said, as events keep it: members of ``detail["told"]``, without demographics."""

from __future__ import annotations

from typing import Any

from mpi.domain.identity import TOLD, Event, Told, Verdict
from mpi.domain.record import RecordKey

_NAMES = ("outcome", "link_id", "score", "tracking_id", "audit_id")
_VERDICTS = "verdicts"


def told_detail(told: Told | None) -> dict[str, Any]:
    """The detail of an event that rests on what was told."""
    if told is None:
        return {}
    detail: dict[str, Any] = {"provider": told.provider}
    detail |= {name: said for name in _NAMES if (said := getattr(told, name)) is not None}
    detail |= {name: True for name in ("overlaid",) if getattr(told, name)}
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
