"""Of which version of a registration an outside provider has spoken."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mpi.domain.identity import KEPT_AS, TOLD, Event, EventKind, StoredRecord
from mpi.domain.record import Demographics, RecordKey, RecordStatus
from mpi.domain.told import is_accepted, is_disputed, is_known, last_said

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = RecordKey("HOSP-A", "1")
PENDING = {KEPT_AS: "pending"}


def version(
    number: int, status: RecordStatus = RecordStatus.ACTIVE, content: int | None = None
) -> StoredRecord:
    digest = bytes([content or number])
    return StoredRecord(KEY, number, status, Demographics(), None, (), digest, NOW)


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
    (3, [TOLD_1, event(2, kind=EventKind.DELETED), event(3, kind=EventKind.REVIVED)], None),
]


@pytest.mark.parametrize(("current", "events", "link"), SAID)
def test_what_is_said_of_another_patient_is_not_said_of_this_one(
    current: int, events: list[Event], link: str | None
) -> None:
    told = last_said(version(current), events)
    assert (told and told.link_id) == link


DELETED_2 = event(2, kind=EventKind.DELETED)
REVIVED_3 = event(3, kind=EventKind.REVIVED)

# The current version, what happened, whether it was accepted, whether the number is known for this patient at least.
HELD: list[tuple[StoredRecord, list[Event], bool, bool]] = [
    (version(1), [], False, False),
    (version(1), [TOLD_1], True, True),
    (version(1), [event(1, "L1", answered=False)], False, False),
    (version(1), [event(1, outcome="rejected")], False, False),
    (version(2), [TOLD_1, event(2)], False, True),  # a correction
    (version(2), [TOLD_1, event(2, outcome="rejected")], False, True),
    (version(1), [TOLD_1, WAITS_2], False, False),  # there it has been overwritten
    (version(1), [TOLD_1, REFUSED_2], True, True),
    (version(2), [TOLD_1, REFUSED_2, CHOSEN_2], False, False),  # who knows: it may be taken by now
    (version(2), [TOLD_1, WAITS_2, CHOSEN_2], True, True),
    (version(3, content=2), [TOLD_1, WAITS_2, event(3, kind=EventKind.TASK_DECIDED)], True, True),
    (version(2), [TOLD_1, CHOSEN_2], False, False),
    (version(3, content=1), [TOLD_1, WAITS_2, CHOSEN_2, UNDONE_3], False, False),
    (version(3, content=1), [TOLD_1, CHOSEN_2, UNDONE_3], True, True),
    (version(3), [TOLD_1, DELETED_2, REVIVED_3], False, False),  # another patient, perhaps
    (version(3), [TOLD_1, DELETED_2, event(3, "L3", EventKind.REVIVED)], True, True),
    (
        version(3),
        [TOLD_1, DELETED_2, event(3, kind=EventKind.REVIVED, overlaid=True)],
        False,
        False,
    ),
    (version(2, RecordStatus.DELETED, content=1), [TOLD_1, DELETED_2], True, True),
    (
        version(4, RecordStatus.DELETED, content=3),
        [TOLD_1, DELETED_2, REVIVED_3, event(4, kind=EventKind.DELETED)],
        False,
        False,
    ),
]


@pytest.mark.parametrize(("current", "events", "accepted", "known"), HELD)
def test_only_the_patient_who_has_the_number_now_is_known_by_it(
    current: StoredRecord, events: list[Event], accepted: bool, known: bool
) -> None:
    versions = [*(version(n) for n in range(1, current.version)), current]
    assert is_accepted(current, versions, events) is accepted
    assert is_known(current, versions, events) is known


def test_while_a_version_waits_that_it_was_told_of_the_number_is_nobodys() -> None:
    versions = [version(1), version(2, RecordStatus.PENDING)]
    assert not is_known(version(1), versions, [TOLD_1, REFUSED_2])


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
