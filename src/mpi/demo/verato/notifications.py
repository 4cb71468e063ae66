"""What Verato tells about changes of link ids: a log that is read by time and never shortened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Key = tuple[str, str]
"""A source's name and its number for the patient (``nativeId``)."""

LINK_ID_CHANGED = "IDENTITY_LINK_ID_CHANGED"
LINK_ID_ASSIGNED = "IDENTITY_LINK_ID_ASSIGNED"
OVERLAY_REJECTED = "IDENTITY_OVERLAY_REJECTED"
RETIRED = "IDENTITY_SOURCE_RETIRED"


@dataclass(frozen=True, slots=True)
class Notification:
    kind: str
    ts: datetime
    body: dict[str, str]


class NotificationLog:
    """Notifications in the order they came about. ``clock`` gives their time."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._log: list[Notification] = []

    def __len__(self) -> int:
        return len(self._log)

    def add(self, kind: str, **body: str | None) -> None:
        """Write one down; members without a value are left out."""
        told = {name: value for name, value in body.items() if value is not None}
        self._log.append(Notification(kind, self._clock(), told))

    def between(self, start: datetime, end: datetime) -> list[Notification]:
        """Those from ``start`` up to but not including ``end``."""
        return [entry for entry in self._log if start <= entry.ts < end]


def shown(entry: Notification) -> dict[str, Any]:
    """As ``searchNotifications`` answers it."""
    return {
        "notificationType": entry.kind,
        "ts": entry.ts.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "partitionKey": "0",
        "username": "simulator",
        "body": "",
        "notificationLowerCaseBody": entry.body,
    }
