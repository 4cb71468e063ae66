"""Documents from values and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mpi.domain.identity import (
    Assertion,
    AssertionKind,
    Event,
    Member,
    StoredRecord,
    Task,
    TaskKind,
    TaskStatus,
    TaskUpdate,
)
from mpi.domain.mpi_id import format_mpi_id
from mpi.domain.record import RecordKey, RecordStatus
from mpi.stores.codec import (
    STATUSES,
    decode_demographics,
    decode_keys,
    decode_standard,
    decode_time,
    decode_warnings,
    encode_demographics,
    encode_keys,
    encode_standard,
    encode_time,
    encode_warnings,
    member,
    record_key,
    stored_record,
)
from mpi.stores.history_codec import decode_event, payload
from mpi.stores.mongodb.schema import Document
from mpi.stores.numbering import event_id, event_seq, task_id
from mpi.stores.plan_stewardship import OpenedTask
from mpi.stores.rows import VERSION_BITS, AssertionRow

_CONTENT = (
    "version",
    "status",
    "demographics",
    "standard",
    "digest",
    "received_at",
    "recorded_at",
    "warnings",
    "seq",
)


def record_document(
    number: int, content: StoredRecord, version: int, person: int | None, seq: int
) -> Document:
    """A record with its current version. Active ones lie under their keys and belong to a person."""
    document = {
        "_id": number,
        "source": content.key.source,
        "source_id": content.key.source_id,
        **_content(content, version, seq),
    }
    if person is None:
        return document | {"old_keys": encode_keys(content.blocking_keys)}
    return document | {"person": person, "keys": list(content.blocking_keys)}


def version_document(record: int, content: StoredRecord, version: int, seq: int) -> Document:
    """A version that did not become the current one."""
    return {
        "_id": (record << VERSION_BITS) + version,
        **_content(content, version, seq),
        "old_keys": encode_keys(content.blocking_keys),
    }


def pending_version(versions: Sequence[Document], digest: bytes) -> int | None:
    """Which of a record's versions waits with this content; before the last deletion none does."""
    deleted = [v["version"] for v in versions if v["status"] == RecordStatus.DELETED.value]
    waiting = (
        v["version"]
        for v in versions
        if v["status"] == RecordStatus.PENDING.value and v["digest"] == digest
    )
    return next((number for number in waiting if number > max(deleted, default=0)), None)


def superseded(record: Document) -> Document:
    """The current version of a record, as it is kept once another one takes its place."""
    version = {name: record[name] for name in _CONTENT if name in record}
    if version["status"] == RecordStatus.ACTIVE.value:
        version["status"] = RecordStatus.HISTORY.value
    number = (record["_id"] << VERSION_BITS) + record["version"]
    return {"_id": number, **version, "old_keys": encode_keys(keys_of(record))}


def _content(content: StoredRecord, version: int, seq: int) -> Document:
    fields: Document = {
        "version": version,
        "status": content.status.value,
        "demographics": encode_demographics(content.demographics),
        "standard": encode_standard(content.standard),
        "digest": content.digest,
        "received_at": encode_time(content.received_at),
        "seq": seq,
    }
    if content.recorded_at is not None:
        fields["recorded_at"] = encode_time(content.recorded_at)
    if content.warnings:
        fields["warnings"] = encode_warnings(content.warnings)
    return fields


def named(keys: Iterable[RecordKey]) -> Document:
    """What finds the records of these keys, one at the least."""
    by_source: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        by_source[key.source].append(key.source_id)
    return {"$or": [{"source": s, "source_id": {"$in": ids}} for s, ids in by_source.items()]}


def versions_of(record: int) -> Document:
    """What finds the versions of a record but the current one."""
    first = record << VERSION_BITS
    return {"_id": {"$gte": first, "$lt": first + (1 << VERSION_BITS)}}


def number_of(document: Document) -> int:
    """What orders documents of one collection by their age."""
    return int(document["_id"])


def keys_of(document: Document) -> tuple[int, ...]:
    """The blocking keys of a version, whether it lies under them or not."""
    if "keys" in document:
        return tuple(map(int, document["keys"]))
    return decode_keys(document["old_keys"])


def stored(document: Document, key: RecordKey, mpi_id: str | None) -> StoredRecord:
    """A version as a value."""
    recorded_at = document.get("recorded_at")
    return stored_record(
        key,
        document["version"],
        STATUSES[document["status"]],
        decode_demographics(document["demographics"]),
        decode_standard(document["standard"]),
        keys_of(document),
        document["digest"],
        decode_time(document["received_at"]),
        None if recorded_at is None else decode_time(recorded_at),
        mpi_id,
        decode_warnings(document.get("warnings")),
    )


EVIDENCE = ("_id", "source", "source_id", "standard")
"""The fields of a record that :func:`evidence` reads, and its number."""


def evidence(record: Document) -> Member:
    """What a comparison needs of the current version of a record."""
    key = record_key(record["source"], record["source_id"])
    return member(key, decode_standard(record["standard"]))


def current(document: Document, mpi_id: str | None = None) -> StoredRecord:
    """The current version of a record; ``mpi_id`` spares working the person's id out."""
    if mpi_id is None and "person" in document:
        mpi_id = format_mpi_id(document["person"])
    return stored(document, record_key(document["source"], document["source_id"]), mpi_id)


def event_document(event: Event, persons: list[int], records: list[int]) -> Document:
    """An event, found from the persons and records that it touched."""
    document = {
        "_id": event.seq,
        "kind": event.kind.value,
        "at": encode_time(event.at),
        "actor": event.actor,
        "reason": event.reason,
        "persons": persons,
        "records": records,
        "payload": payload(event, records),
    }
    undoes = None if event.undoes is None else event_seq(event.undoes)
    return document if undoes is None else document | {"undoes": undoes}


def event_from(document: Document, undone_by: int | None = None) -> Event:
    """An event as a value."""
    columns = ("_id", "kind", "at", "actor", "reason", "undoes", "payload")
    row = [document.get(name) for name in columns]
    return decode_event(row, None if undone_by is None else event_id(undone_by))


def assertion_document(number: int, assertion: Assertion, row: AssertionRow, seq: int) -> Document:
    """An assertion in force."""
    return {
        "_id": number,
        "kind": assertion.kind.value,
        "records": [row.left, row.right],
        "left": [row.left, assertion.left.source, assertion.left.source_id],
        "right": [row.right, assertion.right.source, assertion.right.source_id],
        "actor": assertion.actor,
        "reason": assertion.reason,
        "at": encode_time(assertion.at),
        "seq": seq,
    }


def assertion_row(document: Document) -> AssertionRow:
    """What a plan wants to know of an assertion."""
    return AssertionRow(
        document["_id"],
        AssertionKind(document["kind"]),
        document["left"][0],
        document["right"][0],
    )


def assertion_from(document: Document) -> Assertion:
    """An assertion as a value."""
    return Assertion(
        AssertionKind(document["kind"]),
        RecordKey(*document["left"][1:]),
        RecordKey(*document["right"][1:]),
        document["actor"],
        document["reason"],
        decode_time(document["at"]),
        event_id(document["seq"]),
    )


def task_document(task: OpenedTask, at: int, seq: int) -> Document:
    """A task that has just been opened."""
    asked = task.asked
    return {
        "_id": task.number,
        "version": 1,
        "kind": asked.kind.value,
        "status": TaskStatus.OPEN.value,
        "record": task.record,
        "source": asked.record.source,
        "source_id": asked.record.source_id,
        "candidates": list(task.candidates),
        "persons": sorted(task.persons),
        "weight": asked.weight,
        "reason": asked.reason,
        "opened_at": at,
        "assignee": None,
        "outcome": None,
        "decided_at": None,
        "deferred_until": None,
        "seq": seq,
    }


def updated_task(document: Document, update: TaskUpdate, at: int) -> Document:
    """The task after the update. A decided or claimed one keeps its assignee unless another is named."""
    keep = update.status is not TaskStatus.OPEN
    until = update.deferred_until
    return document | {
        "version": document["version"] + 1,
        "status": update.status.value,
        "outcome": update.outcome,
        "decided_at": at if update.status is TaskStatus.DECIDED else None,
        "deferred_until": None if until is None else encode_time(until),
        "assignee": document["assignee"] if keep and not update.assignee else update.assignee,
    }


def task_from(document: Document) -> Task:
    """A task as a value."""
    decided, deferred = document["decided_at"], document["deferred_until"]
    return Task(
        task_id=task_id(document["_id"]),
        version=document["version"],
        kind=TaskKind(document["kind"]),
        status=TaskStatus(document["status"]),
        record=RecordKey(document["source"], document["source_id"]),
        candidates=tuple(document["candidates"]),
        weight=document["weight"],
        reason=document["reason"],
        opened_at=decode_time(document["opened_at"]),
        assignee=document["assignee"],
        outcome=document["outcome"],
        decided_at=None if decided is None else decode_time(decided),
        deferred_until=None if deferred is None else decode_time(deferred),
    )
