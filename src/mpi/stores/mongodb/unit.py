"""What one write transaction knows and has changed.

A transaction of MongoDB has no savepoints, and each of its statements is a round trip. So documents are kept here once
they are read, changes are made here, and what changed is written in bulk before the next search and at the end. The
head is held by this transaction alone from its first statement, therefore nothing read here can become stale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pymongo import ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from mpi.domain.identity import IdentityChange, TaskKind, TaskStatus
from mpi.domain.mpi_id import format_mpi_id
from mpi.domain.record import RecordKey, RecordStatus
from mpi.errors import ConcurrentChange, StoreUnavailable
from mpi.stores.mongodb.documents import assertion_row, named, pending_version, versions_of
from mpi.stores.mongodb.schema import (
    ASSERTION,
    ERRAND,
    EVENT,
    HEAD,
    META,
    PERSON,
    RECORD,
    TASK,
    VERSION,
    Database,
    Document,
)
from mpi.stores.mongodb.tail import LONGEST_TAIL, Tail, Trace, to_tell, told_by, traces
from mpi.stores.numbering import person_number
from mpi.stores.plan import named_persons, named_records, newcomers
from mpi.stores.rows import VERSION_BITS, AssertionRow, Head, PersonRow, RecordRow

T = TypeVar("T")


class NotLoaded(Exception):
    """Something has to be read before the plan can go on: load ``want``, and make the plan again."""

    def __init__(self, want: Want | WantRecords) -> None:
        super().__init__()
        self.want = want


@dataclass(frozen=True, slots=True)
class Want:
    """Documents of one collection: by number, or all those in which ``field`` is one of the values."""

    collection: str
    field: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WantRecords:
    """Records by their keys."""

    keys: tuple[RecordKey, ...]


@dataclass(frozen=True, slots=True)
class _State:
    head: Document
    documents: dict[str, dict[int, Document | None]]
    numbers: dict[RecordKey, int | None]
    new: dict[str, dict[int, None]]
    changed: dict[str, dict[int, None]]
    events: dict[int, Trace]
    errands: list[UpdateOne]


class Unit:
    """The unit of work; implements :class:`mpi.stores.rows.Rows` over what is loaded, else raises ``NotLoaded``."""

    def __init__(
        self, database: Database, session: AsyncClientSession, head: Document, tail: Tail
    ) -> None:
        self.session = session
        self.head = head
        self._tail = tail
        self._seen = told_by(head)
        self.events: dict[int, Trace] = {}
        self.errands: list[UpdateOne] = []
        self.has_errands = False
        self._database = database
        self._documents: dict[str, dict[int, Document | None]] = defaultdict(dict)
        self._numbers: dict[RecordKey, int | None] = {}
        self._searched: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._held: dict[int, set[int]] = defaultdict(set)
        self._under: dict[int, set[int]] = defaultdict(set)
        self._new: dict[str, dict[int, None]] = defaultdict(dict)
        self._changed: dict[str, dict[int, None]] = defaultdict(dict)

    # What a plan asks

    def state(self) -> Head:
        """The counters from which the next change numbers what it makes."""
        head = self.head
        return Head(head["position"], head["last_record"], head["minted"], head["assertions"])

    def person(self, mpi_id: str) -> PersonRow | None:
        """See :class:`mpi.stores.rows.Rows`."""
        number = person_number(mpi_id)
        document = None if number is None else self.get(PERSON, number)
        if number is None or document is None:
            return None
        into, active = document["into"], document["active"]
        survivor = None if into is None else format_mpi_id(into)
        return PersonRow(number, mpi_id, document["version"], active, active, survivor)

    def record(self, key: RecordKey) -> RecordRow | None:
        """See :class:`mpi.stores.rows.Rows`."""
        document = self.record_document(key)
        if document is None:
            return None
        person = document.get("person")
        mpi_id = None if person is None else format_mpi_id(person)
        status = RecordStatus(document["status"])
        return RecordRow(document["_id"], key, document["version"], status, mpi_id)

    def record_document(self, key: RecordKey) -> Document | None:
        """The record as it is stored now."""
        if key not in self._numbers:
            raise NotLoaded(WantRecords((key,)))
        number = self._numbers[key]
        return None if number is None else self._documents[RECORD][number]

    def versions(self, record: int, digest: bytes) -> tuple[int, int | None]:
        """See :class:`mpi.stores.rows.Rows`."""
        current = self.get(RECORD, record)
        known = [*self._found(VERSION, "record", (record,)), *([current] if current else [])]
        return max((d["version"] for d in known), default=0), pending_version(known, digest)

    def held(self, person: int) -> Collection[int]:
        """See :class:`mpi.stores.rows.Rows`."""
        return [document["_id"] for document in self.records_of(person)]

    def records_of(self, person: int) -> list[Document]:
        """The records that a person holds, oldest first."""
        if person not in self._searched[RECORD, "person"]:
            raise NotLoaded(Want(RECORD, "person", (person,)))
        documents = [self._documents[RECORD][number] for number in sorted(self._held[person])]
        return [document for document in documents if document is not None]

    def under(self, keys: Iterable[int]) -> list[Document]:
        """All known records under the keys."""
        numbers = {number for key in keys for number in self._under.get(key, ())}
        documents = [self._documents[RECORD][number] for number in numbers]
        return [document for document in documents if document is not None]

    def asserted(self, records: Collection[int]) -> Sequence[AssertionRow]:
        """See :class:`mpi.stores.rows.Rows`."""
        return [assertion_row(document) for document in self.assertions_about(records)]

    def assertions_about(self, records: Collection[int]) -> list[Document]:
        """Assertions in force that name any of the records, oldest first."""
        return self._found(ASSERTION, "records", tuple(records))

    def last_task(self) -> int:
        """See :class:`mpi.stores.rows.Rows`."""
        return int(self.head["last_task"])

    def open_task(self, record: int, kind: TaskKind) -> int | None:
        """See :class:`mpi.stores.rows.Rows`."""
        for document in self._found(TASK, "record", (record,)):
            if document["kind"] == kind.value and document["status"] != TaskStatus.DECIDED.value:
                return int(document["_id"])
        return None

    def task(self, number: int) -> TaskStatus | None:
        """See :class:`mpi.stores.rows.Rows`."""
        document = self.get(TASK, number)
        return None if document is None else TaskStatus(document["status"])

    def undone_by(self, seq: int) -> int | None:
        """The event that undoes ``seq`` and is not undone itself."""
        undoing = [document["_id"] for document in self._found(EVENT, "undoes", (seq,))]
        last = max(undoing, default=None)
        return None if last is None or self.undone_by(last) is not None else last

    def touched_since(self, position: int) -> Iterable[Trace]:
        """What the events after ``position`` touched. Raises ``ConcurrentChange`` when they are too many to tell."""
        if self.head["position"] - position > LONGEST_TAIL:
            raise ConcurrentChange("too much has changed since the change was decided")
        for seq in range(position + 1, self.head["position"] + 1):
            # What this transaction has read goes before what was told: the index may have become another one.
            known = self.events.get(seq) or self._seen.get(seq) or self._tail.get(seq)
            if known is None:
                raise NotLoaded(Want(EVENT, "after", (seq - 1,)))
            yield known

    def get(self, collection: str, number: int) -> Document | None:
        """One document as it is stored now; None if there is none."""
        known = self._documents[collection]
        if number not in known:
            raise NotLoaded(Want(collection, "_id", (number,)))
        return known[number]

    def _found(self, collection: str, field: str, values: tuple[int, ...]) -> list[Document]:
        missing = [v for v in values if v not in self._searched[collection, field]]
        if missing:
            raise NotLoaded(Want(collection, field, tuple(missing)))
        wanted = frozenset(values)
        return [
            document
            for _, document in sorted(self._documents[collection].items())
            if document is not None and _has(document, field, wanted)
        ]

    # Loading

    async def loading(self, body: Callable[[], T]) -> T:
        """The result of ``body``, which has no effects, for it is made again after each loading."""
        while True:
            try:
                return body()
            except NotLoaded as missing:
                await self.load(missing.want)

    def learn(self, persons: Iterable[Document], records: Iterable[Document]) -> None:
        """Keep persons that were read with all their records."""
        self._keep(RECORD, records)
        for person in persons:
            self._keep(PERSON, (person,))
            self._searched[RECORD, "person"].add(person["_id"])

    def trust(self, changes: Sequence[IdentityChange]) -> None:
        """Take records that come as new ones for new, without looking; writing one that is there fails."""
        for key in newcomers(changes):
            self._numbers.setdefault(key, None)

    async def prefetch(self, changes: Iterable[IdentityChange]) -> None:
        """Read what the changes name, in few round trips."""
        keys: set[RecordKey] = set()
        persons: set[str] = set()
        for change in changes:
            keys.update(named_records(change))
            persons.update(named_persons(change))
            persons.update(mpi_id for task in change.tasks for mpi_id in task.candidates)
        if keys - self._numbers.keys():
            await self.load(WantRecords(tuple(keys - self._numbers.keys())))
        documents = map(self.record_document, keys)
        numbers = {person_number(mpi_id) for mpi_id in persons} | {
            document.get("person") for document in documents if document is not None
        }
        missing = {n for n in numbers if n is not None} - self._documents[PERSON].keys()
        if missing:
            await self.load(Want(PERSON, "_id", tuple(missing)))

    async def load(self, want: Want | WantRecords) -> None:
        """Read what was asked for; what this transaction has changed stays as it is."""
        if isinstance(want, WantRecords):
            await self._load_records(want.keys)
        elif want.field == "after":
            (after,) = want.values
            self._seen |= await traces(self._database, self.session, after)
            if after + 1 not in self._seen:
                raise StoreUnavailable("the history lacks an event; `mpi verify` tells more")
        else:
            found = await self._find(want.collection, _filter(want))
            if want.field == "_id":
                absent = dict.fromkeys(want.values)
                self._documents[want.collection] = absent | self._documents[want.collection]
            else:
                self._searched[want.collection, want.field].update(want.values)
            self._keep(want.collection, found)

    async def _load_records(self, keys: Collection[RecordKey]) -> None:
        for key in keys:
            self._numbers.setdefault(key, None)
        self._keep(RECORD, await self._find(RECORD, named(keys)))

    async def _find(self, collection: str, wanted: Document) -> list[Document]:
        return await self._database[collection].find(wanted, session=self.session).to_list()

    def _keep(self, collection: str, found: Iterable[Document]) -> None:
        known = self._documents[collection]
        for document in found:
            if known.get(document["_id"]) is None:
                self._put(collection, document)

    def _put(self, collection: str, document: Document) -> None:
        number = document["_id"]
        before = self._documents[collection].get(number)
        self._documents[collection][number] = document
        if collection != RECORD:
            return
        self._numbers[RecordKey(document["source"], document["source_id"])] = number
        if before is not None:
            self._held[before.get("person", 0)].discard(number)
            for key in before.get("keys", ()):
                self._under[key].discard(number)
        if "person" in document:
            self._held[document["person"]].add(number)
            for key in document["keys"]:
                self._under[key].add(number)

    # Changing

    def insert(self, collection: str, document: Document) -> None:
        """Add a document. Its number is new."""
        self._put(collection, document)
        self._new[collection][document["_id"]] = None
        if collection == PERSON:
            self._searched[RECORD, "person"].add(document["_id"])

    def replace(self, collection: str, document: Document) -> None:
        """Put a document, never changed in place, where one of its number was."""
        self._put(collection, document)
        if document["_id"] not in self._new[collection]:
            self._changed[collection][document["_id"]] = None

    def savepoint(self) -> _State:
        """What :meth:`return_to` brings back, as long as nothing is written in between."""
        return _State(
            dict(self.head),
            {name: dict(documents) for name, documents in self._documents.items()},
            dict(self._numbers),
            {name: dict(numbers) for name, numbers in self._new.items()},
            {name: dict(numbers) for name, numbers in self._changed.items()},
            dict(self.events),
            list(self.errands),
        )

    def return_to(self, state: _State) -> None:
        """Forget what changed since then. What was searched since then is searched again."""
        self.head, self.events, self._numbers = state.head, state.events, state.numbers
        self.errands = state.errands
        self._documents = defaultdict(dict, state.documents)
        self._new = defaultdict(dict, state.new)
        self._changed = defaultdict(dict, state.changed)
        self._searched.clear()
        self._held.clear()
        self._under.clear()
        for document in list(self._documents[RECORD].values()):
            if document is not None:
                self._put(RECORD, document)

    async def write(self) -> None:
        """Write what changed since the last time."""
        for name, numbers in self._new.items():
            documents = [self._documents[name][number] for number in numbers]
            if documents:
                await self._database[name].insert_many(
                    [document for document in documents if document is not None],
                    session=self.session,
                )
        for name, numbers in self._changed.items():
            replacements = [
                ReplaceOne({"_id": number}, document)
                for number in numbers
                if (document := self._documents[name][number]) is not None
            ]
            if replacements:
                await self._database[name].bulk_write(replacements, session=self.session)
        self._new.clear()
        self._changed.clear()
        if self.errands:
            await self._database[ERRAND].bulk_write(self.errands, session=self.session)
            self.errands = []

    async def finish(self) -> None:
        """Write everything that is left, and the head."""
        await self.write()
        if self.events:
            self.head["touched"] = to_tell(self.events)
        await self._database[META].replace_one({"_id": HEAD}, self.head, session=self.session)

    async def give_up(self) -> None:
        """End the transaction, if it is still open; MongoDB ends by itself what it cannot be told about."""
        await self.session.end_session()


def _filter(want: Want) -> Document:
    if want.collection == VERSION:
        (record,) = want.values
        return versions_of(record)
    return {want.field: {"$in": list(want.values)}}


def _has(document: Document, field: str, values: Collection[int]) -> bool:
    if field == "record" and "record" not in document:
        return document["_id"] >> VERSION_BITS in values
    value = document.get(field)
    if isinstance(value, list):
        return any(one in values for one in value)
    return value in values
