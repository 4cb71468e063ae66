"""Which later events matter to an undo."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mpi.domain.identity import (
    AUTOMATIC,
    Assertion,
    AssertionKind,
    Event,
    EventKind,
    RecordMove,
)
from mpi.domain.record import RecordKey
from mpi.service.undo_plan import arrivals, in_the_way

AT = datetime(2026, 3, 1, tzinfo=UTC)
A, B, C = (RecordKey("lab", name) for name in "abc")


def stated(kind: AssertionKind, left: RecordKey, right: RecordKey) -> Assertion:
    return Assertion(kind, left, right, "eve", "seen", AT)


def happened(
    seq: int,
    kind: EventKind,
    *moves: RecordMove,
    asserted: tuple[Assertion, ...] = (),
    lifted: tuple[Assertion, ...] = (),
    record: RecordKey | None = None,
    undoes: str | None = None,
    automatic: bool = False,
) -> Event:
    return Event(
        seq=seq,
        event_id=f"E{seq}",
        kind=kind,
        at=AT,
        actor="eve",
        reason="seen",
        moves=moves,
        retired=(),
        revived=(),
        persons=(),
        asserted=asserted,
        lifted=lifted,
        record=record,
        undoes=undoes,
        detail={AUTOMATIC: True} if automatic else {},
    )


MERGED = happened(1, EventKind.MERGED, RecordMove(A, "P2", "P1"))
SAME, NOT_SAME = AssertionKind.SAME, AssertionKind.NOT_SAME


@pytest.mark.parametrize(
    ("event", "later", "blocks"),
    [
        (MERGED, happened(2, EventKind.MOVED, RecordMove(A, "P1", "P3")), True),
        (MERGED, happened(2, EventKind.MOVED, RecordMove(B, "P1", "P3")), False),
        (MERGED, happened(2, EventKind.DELETED, RecordMove(A, "P1", None)), False),
        (
            MERGED,
            happened(2, EventKind.MERGED, RecordMove(A, "P1", "P0"), automatic=True),
            False,
        ),
        (MERGED, happened(2, EventKind.ASSERTED, asserted=(stated(SAME, B, A),)), True),
        (MERGED, happened(2, EventKind.ASSERTED, asserted=(stated(NOT_SAME, B, A),)), False),
        (
            happened(1, EventKind.ASSERTED, asserted=(stated(NOT_SAME, A, B),)),
            happened(2, EventKind.MERGED, lifted=(stated(NOT_SAME, B, A),)),
            True,
        ),
        (
            happened(1, EventKind.TASK_DECIDED, record=A),
            happened(2, EventKind.TASK_DECIDED, record=A),
            True,
        ),
        (
            happened(1, EventKind.LINKED, RecordMove(A, None, "P1"), record=A),
            happened(2, EventKind.TASK_DECIDED, record=A),
            False,
        ),
    ],
)
def test_only_human_decisions_about_the_same_records_block(
    event: Event, later: Event, blocks: bool
) -> None:
    assert in_the_way(event, [later]) == (["E2"] if blocks else [])


def test_a_decision_and_its_undo_cancel_out_and_a_redone_one_blocks_again() -> None:
    moved = happened(2, EventKind.MOVED, RecordMove(A, "P1", "P3"))
    undone = happened(3, EventKind.UNDONE, RecordMove(A, "P3", "P1"), undoes="E2")
    redone = happened(4, EventKind.UNDONE, RecordMove(A, "P1", "P3"), undoes="E3")
    assert in_the_way(MERGED, [moved, undone]) == []
    assert in_the_way(MERGED, [moved, undone, redone]) == ["E2"]


def test_those_arrived_whose_first_move_since_came_from_elsewhere() -> None:
    later = [
        happened(2, EventKind.LINKED, RecordMove(C, None, "P1")),
        happened(3, EventKind.MERGED, RecordMove(B, "P1", "P0"), RecordMove(C, "P1", "P0")),
    ]
    assert arrivals(MERGED, later) == {C}
