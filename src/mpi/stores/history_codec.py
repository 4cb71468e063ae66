"""Events as every store keeps them: some columns, and the rest as one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from mpi.domain.identity import Assertion, AssertionKind, Event, EventKind, RecordMove
from mpi.domain.record import RecordKey
from mpi.stores.codec import decode_time, encode_time
from mpi.stores.numbering import event_id


def payload(event: Event, records: Sequence[int]) -> bytes:
    """What the columns of an event do not hold. ``records``: numbers of all records it touches."""
    content: dict[str, Any] = {
        "records": records,
        "persons": event.persons,
        "moves": [(m.key.source, m.key.source_id, m.origin, m.target) for m in event.moves],
        "retired": event.retired,
        "revived": event.revived,
        "asserted": [_assertion_row(a) for a in event.asserted],
        "lifted": [_assertion_row(a) for a in event.lifted],
        "record": event.record
        and (event.record.source, event.record.source_id, event.record_version),
        "detail": event.detail,
    }
    return orjson.dumps({name: value for name, value in content.items() if value})


def _assertion_row(a: Assertion) -> tuple[Any, ...]:
    left, right = a.left, a.right
    return (
        a.kind.value,
        left.source,
        left.source_id,
        right.source,
        right.source_id,
        a.actor,
        a.reason,
        encode_time(a.at),
    )


def touched_records(blob: bytes) -> list[int]:
    """The numbers of the records that an event touched, from its payload."""
    numbers: list[int] = orjson.loads(blob).get("records", [])
    return numbers


def changes_content(event: Event) -> bool:
    """Whether the event registered, changed or deleted a record, and so may have changed keys."""
    return event.record is not None or any(None in (m.origin, m.target) for m in event.moves)


def decode_event(row: Sequence[Any], undone_by: str | None = None) -> Event:
    """Number, kind, time, actor, reason, undone event and payload as a value."""
    seq, kind, at, actor, reason, undoes, blob = row
    content = orjson.loads(blob)
    record = content.get("record")
    return Event(
        seq=seq,
        event_id=event_id(seq),
        kind=EventKind(kind),
        at=decode_time(at),
        actor=actor,
        reason=reason,
        moves=tuple(
            [RecordMove(RecordKey(m[0], m[1]), m[2], m[3]) for m in content.get("moves", ())]
        ),
        retired=tuple([(old, into) for old, into in content.get("retired", ())]),
        revived=tuple(content.get("revived", ())),
        persons=tuple(content.get("persons", ())),
        asserted=tuple(map(asserted, content.get("asserted", ()))),
        lifted=tuple(map(asserted, content.get("lifted", ()))),
        record=None if record is None else RecordKey(record[0], record[1]),
        record_version=None if record is None else record[2],
        undoes=None if undoes is None else event_id(undoes),
        undone_by=undone_by,
        detail=content.get("detail", {}),
    )


def asserted(row: Sequence[Any]) -> Assertion:
    """Kind, left, right, actor, reason and time (microseconds) as a value; stored ones end with their event."""
    kind, left_source, left_id, right_source, right_id, actor, reason, at, *seq = row
    return Assertion(
        AssertionKind(kind),
        RecordKey(left_source, left_id),
        RecordKey(right_source, right_id),
        actor,
        reason,
        decode_time(at),
        event_id(seq[0]) if seq else None,
    )
