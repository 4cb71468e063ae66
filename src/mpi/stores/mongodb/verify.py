"""Every invariant of the index in MongoDB, checked at one moment of a database that may be in use.

Findings name documents by our own numbers and ids, never by values of a source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

from mpi.domain.identity import AssertionKind, TaskKind, TaskStatus
from mpi.domain.mpi_id import format_mpi_id
from mpi.domain.record import RecordKey, RecordStatus
from mpi.stores.errands import records_of
from mpi.stores.history_codec import touched_records
from mpi.stores.mongodb.documents import assertion_row, event_from, keys_of, stored
from mpi.stores.mongodb.long_read import LongRead
from mpi.stores.mongodb.schema import (
    ASSERTION,
    ERRAND,
    EVENT,
    HEAD,
    INDEXES,
    META,
    PERSON,
    RECORD,
    TASK,
    VERSION,
    Document,
    lacking,
)
from mpi.stores.numbering import event_id, person_number
from mpi.stores.rows import VERSION_BITS
from mpi.stores.verification import (
    DAMAGED,
    MOST_FINDINGS,
    UNASKED,
    UNASKED_TEXT,
    Past,
    Progress,
    Violation,
    without_end,
)

_NOBODY = RecordKey("", "")
Finding = tuple[str, str]


@dataclass(slots=True)
class _Present:
    """What is kept of the collections that were read, to compare the next ones with."""

    head: Document
    past: Past = field(default_factory=Past)
    aliases: dict[int, int | None] = field(default_factory=dict)
    active: set[int] = field(default_factory=set)
    owners: dict[int, int | None] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    deleted: dict[int, int] = field(default_factory=dict)
    waiting: list[tuple[int, int]] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)


Check = Callable[[LongRead, _Present], AsyncIterator[Finding]]


async def _indexes(read: LongRead, _: _Present) -> AsyncIterator[Finding]:
    """As they are now: no snapshot shows them."""
    for name in INDEXES:
        for index in await lacking(read.database, name):
            yield "missing_index", f"the index {index.document['name']} of {name} is missing"


async def _events(read: LongRead, present: _Present) -> AsyncIterator[Finding]:
    expected = 1
    async for document in read.documents(EVENT):
        seq = document["_id"]
        if seq != expected:
            yield "event_gap", f"an event is missing before event {seq}"
        expected = seq + 1
        if document.get("undoes", 0) >= seq:
            yield "event_undoes_later", f"event {seq} undoes one that came later"
        try:
            event = event_from(document)
            if document["records"] != touched_records(document["payload"]) or document[
                "persons"
            ] != [person_number(mpi_id) for mpi_id in event.persons]:
                yield "wrong_event_index", f"event {seq} is found from others than it touched"
        except DAMAGED:
            yield "replay", f"{event_id(seq)} cannot be read"
            continue
        for finding in present.past.apply(event):
            yield "replay", finding
    if present.head["position"] != expected - 1:
        yield "event_gap", "the head names another last event than there is"


async def _persons(read: LongRead, present: _Present) -> AsyncIterator[Finding]:
    async for document in read.documents(PERSON):
        number, into = document["_id"], document["into"]
        present.aliases[number] = into
        if document["active"]:
            present.active.add(number)
        survivor = None if into is None else format_mpi_id(into)
        for finding in present.past.compare_person(
            format_mpi_id(number), survivor, active=document["active"]
        ):
            yield "replay", finding
    for number in without_end(present.aliases):
        yield "alias_without_end", f"the aliases from person {format_mpi_id(number)} lead nowhere"
    present.counts["persons"] = len(present.active)
    present.counts["retired"] = len(present.aliases) - len(present.active)
    if present.head["minted"] < max(present.aliases, default=0):
        yield "wrong_tally", "the count of minted persons is wrong"


async def _records(read: LongRead, present: _Present) -> AsyncIterator[Finding]:
    active = 0
    async for document in read.documents(RECORD):
        number, person = document["_id"], document.get("person")
        present.owners[number] = person
        present.versions[number] = document["version"]
        active += document["status"] == RecordStatus.ACTIVE.value
        if document["status"] == RecordStatus.DELETED.value:
            present.deleted[number] = document["version"]
        for finding in _record(document, present):
            yield finding
        mpi_id = None if person is None else format_mpi_id(person)
        key = RecordKey(document["source"], document["source_id"])
        for detail in present.past.compare_record(number, key, mpi_id):
            yield "replay", detail
    for detail in present.past.missing_records():
        yield "replay", detail
    for number in sorted(present.active - set(present.owners.values())):
        yield "empty_person", f"person {format_mpi_id(number)} is active without a record"
    present.counts["records"] = active
    if present.head["last_record"] < max(present.owners, default=0):
        yield "wrong_tally", "the count of record numbers is wrong"


def _record(document: Document, present: _Present) -> Iterator[Finding]:
    number, person = document["_id"], document.get("person")
    if document["status"] == RecordStatus.ACTIVE.value:
        if person not in present.active:
            yield (
                "record_without_person",
                f"record {number} is active but belongs to no active person",
            )
        if "keys" not in document or "old_keys" in document:
            yield (
                "wrong_blocking_key",
                f"record {number} is not under the blocking keys of its current version",
            )
    elif document["status"] != RecordStatus.DELETED.value:
        yield "wrong_current_version", f"record {number} is neither active nor deleted"
    elif person is not None:
        yield "deleted_record_with_person", f"record {number} is deleted but belongs to a person"
    elif "keys" in document:
        yield "wrong_blocking_key", f"record {number} is deleted but lies under blocking keys"
    if not _readable(document):
        yield "unreadable_version", f"version {document['version']} of record {number} cannot be read"


def _readable(document: Document) -> bool:
    try:
        keys_of(document)
        stored(document, _NOBODY, None)
    except DAMAGED:
        return False
    return True


async def _versions(read: LongRead, present: _Present) -> AsyncIterator[Finding]:
    async for document in read.documents(VERSION):
        record, version = document["_id"] >> VERSION_BITS, document["version"]
        if document["status"] == RecordStatus.DELETED.value:
            present.deleted[record] = max(version, present.deleted.get(record, 0))
        elif document["status"] == RecordStatus.PENDING.value:
            present.waiting.append((record, version))
        if record not in present.owners:
            yield "foreign_key", f"version {version} points to a missing record"
        elif (
            document["_id"] != (record << VERSION_BITS) + version
            or document["status"] == RecordStatus.ACTIVE.value
            or present.versions[record] == version
        ):
            yield (
                "wrong_current_version",
                f"record {record} does not point to its one active or deleted version",
            )
        if not _readable(document):
            yield "unreadable_version", f"version {version} of record {record} cannot be read"


async def _tasks(read: LongRead, present: _Present) -> AsyncIterator[Finding]:
    is_open = last = 0
    async for document in read.documents(TASK):
        last = document["_id"]
        if document["status"] != TaskStatus.DECIDED.value:
            is_open += 1
            if document["kind"] == TaskKind.OVERLAY.value:
                present.asked.add(document["record"])
        if document["record"] not in present.owners:
            yield "foreign_key", f"task {last} points to a missing record"
        if set(document["persons"]) - present.aliases.keys():
            yield "foreign_key", f"task {last} points to a missing person"
    present.counts["tasks_open"] = is_open
    if present.head["last_task"] < last:
        yield "wrong_tally", "the count of task numbers is wrong"


async def _waiting(_: LongRead, present: _Present) -> AsyncIterator[Finding]:
    waiting = Counter(r for r, version in present.waiting if version > present.deleted.get(r, 0))
    for record, versions in waiting.items():
        if versions > 1 or record not in present.asked:
            yield UNASKED, UNASKED_TEXT.format(record)


async def _assertions(read: LongRead, present: _Present) -> AsyncIterator[Finding]:
    in_force = last = 0
    async for document in read.documents(ASSERTION):
        last, row = document["_id"], assertion_row(document)
        if {row.left, row.right} - present.owners.keys():
            yield "foreign_key", f"assertion {last} points to a missing record"
            continue
        if ("records" in document) == ("lifted" in document):
            yield "wrong_assertion", f"assertion {last} is neither in force nor lifted"
        if "records" not in document:
            continue
        in_force += 1
        owner = present.owners[row.left]
        together = owner is not None and owner == present.owners[row.right]
        if row.kind is AssertionKind.NOT_SAME and together and owner is not None:
            person = format_mpi_id(owner)
            yield (
                "not_same_in_one_person",
                f"person {person} holds two records asserted not to be the same",
            )
    present.counts["assertions"] = in_force
    if present.head["last_assertion"] < last:
        yield "wrong_tally", "the count of assertion numbers is wrong"


async def _errands(read: LongRead, _: _Present) -> AsyncIterator[Finding]:
    async for document in read.documents(ERRAND):
        for key in records_of(document["_id"]):
            name = {"source": key.source, "source_id": key.source_id}
            if not [record async for record in read.documents(RECORD, name, {"_id": 1})]:
                yield (
                    "errand_about_nothing",
                    f"an errand of kind {document['kind']} is about a record that is not there",
                )


async def _tally(_: LongRead, present: _Present) -> AsyncIterator[Finding]:
    for name, count in present.counts.items():
        if present.head[name] != count:
            yield "wrong_tally", f"the count of {name.replace('_', ' ')} is wrong"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("indexes", _indexes),
    ("events", _events),
    ("persons", _persons),
    ("records", _records),
    ("versions", _versions),
    ("tasks", _tasks),
    ("waiting", _waiting),
    ("assertions", _assertions),
    ("errands", _errands),
    ("tally", _tally),
)


async def verify(read: LongRead, progress: Progress) -> list[Violation]:
    """Check every invariant; at most ``MOST_FINDINGS`` of each check."""
    [head] = [found async for found in read.documents(META, {"_id": HEAD})]
    present = _Present(head)
    found: list[Violation] = []
    for number, (name, check) in enumerate(CHECKS, 1):
        progress(name, number, len(CHECKS))
        before = len(found)
        async for code, detail in check(read, present):
            if len(found) - before < MOST_FINDINGS:
                found.append(Violation(code, detail))
    return found
