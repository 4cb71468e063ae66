"""Of which version of a registration an outside provider has spoken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mpi.domain.identity import KEPT_AS, TOLD, Event, EventKind, StoredRecord
from mpi.domain.record import Demographics, RecordKey, RecordStatus
from mpi.domain.told import is_disputed, is_heard, last_said

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = RecordKey("HOSP-A", "1")
PENDING = {KEPT_AS: "pending"}


def version(number: int, status: RecordStatus = RecordStatus.ACTIVE) -> StoredRecord:
    return StoredRecord(KEY, number, status, Demographics(), None, (), b"", NOW)


def event(
    number: int,
    link: str | None = None,
    kind: EventKind = EventKind.UPDATED,
    detail: dict[str, Any] | None = None,
    **told: Any,
) -> Event:
    said = {TOLD: {"provider": "verato", "outcome": "linked", "link_id": link} | told}
    return Event(
        number, f"E{number}", kind, NOW, "ada", None, (), (), (), (),
        record=KEY, record_version=number, detail=(detail or {}) | (said if link or told else {}),
    )  # fmt: skip


TOLD_1, WAITS_2 = event(1, "L1"), event(2, "L2", detail=PENDING)
CHOSEN_2 = event(2, kind=EventKind.TASK_DECIDED)
REFUSED_2 = event(2, detail=PENDING, overlaid=True)
UNDONE_3 = event(3, kind=EventKind.UNDONE)

SAID = [
    (1, [TOLD_1], "L1"),
    (2, [TOLD_1, event(2)], "L1"),  # a correction
    (1, [TOLD_1, WAITS_2], "L1"),  # no evidence while it waits
    (1, [WAITS_2], None),
    (2, [TOLD_1, WAITS_2, CHOSEN_2], "L2"),  # a steward has made it current
    (
        2,
        [TOLD_1, event(2, detail=PENDING), CHOSEN_2],
        None,
    ),  # another patient, of whom nothing is known there
    (3, [TOLD_1, event(2, detail=PENDING), CHOSEN_2, event(3)], None),
    (3, [TOLD_1, event(2, detail=PENDING), CHOSEN_2, event(3, "L3")], "L3"),
    (3, [TOLD_1, WAITS_2, CHOSEN_2, UNDONE_3], None),
    (1, [TOLD_1, event(2, "L2", answered=False)], "L1"),
]


@pytest.mark.parametrize(("current", "events", "link"), SAID)
def test_what_is_said_of_another_patient_is_not_said_of_this_one(
    current: int, events: list[Event], link: str | None
) -> None:
    told = last_said(version(current), events)
    assert (told and told.link_id) == link


HEARD = [
    (1, [], False),
    (1, [TOLD_1], True),
    (2, [TOLD_1, event(2)], False),
    (1, [TOLD_1, WAITS_2], False),  # there it has been overwritten
    (1, [TOLD_1, REFUSED_2], True),
    (2, [TOLD_1, REFUSED_2, CHOSEN_2], True),  # it would be refused again
    (2, [TOLD_1, WAITS_2, CHOSEN_2], True),
    (1, [event(1, "L1", answered=False)], False),
]


@pytest.mark.parametrize(("current", "events", "heard"), HEARD)
def test_only_an_answer_about_this_version_is_one(
    current: int, events: list[Event], heard: bool
) -> None:
    assert is_heard(version(current), events) is heard


@pytest.mark.parametrize(
    ("events", "disputed"),
    [
        ([TOLD_1, WAITS_2], True),
        ([TOLD_1, event(2, detail=PENDING)], False),
        ([TOLD_1, REFUSED_2], True),
    ],
)
def test_what_was_told_of_a_version_that_waits_is_disputed(
    events: list[Event], disputed: bool
) -> None:
    waiting = [version(1), version(2, RecordStatus.PENDING)]
    assert is_disputed(KEY, waiting, events) is disputed
    assert not is_disputed(KEY, [version(1)], events)
