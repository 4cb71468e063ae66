"""What the last events touched, kept in memory: every commit and every kept answer asks what came in between.

The head tells of its own last commit what that touched, unless it was too much, and a change stream brings it to every
process. What was not told is read.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pymongo.asynchronous.client_session import AsyncClientSession

from mpi.domain.identity import Touched
from mpi.domain.mpi_id import format_mpi_id
from mpi.stores.codec import decode_keys, decode_time, encode_keys
from mpi.stores.mongodb.documents import keys_of, versions_of
from mpi.stores.mongodb.schema import EVENT, RECORD, VERSION, Database, Document
from mpi.stores.rows import VERSION_BITS

LONGEST_TAIL = 2_000
"""Events that may come between a decision and its commit. Deciding again is cheaper than reading more of them."""

_MOST_TOLD, _MOST_NUMBERS = 30, 1_000
"""Events of a commit that is told, and the persons, records and keys of all of them together: 10 KB of the head."""
_MOST_KEYS = 1_000
"""Of one event that is answered from memory. A merge leaves the keys of all its records; kept answers need none."""

_AT_ONCE = 100
"""Records whose other versions are looked for with one question: MongoDB plans each of its alternatives."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What an event left behind: its time (microseconds), the numbers of the persons and records that it touched, and
    keys under which these records lay or lie."""

    at: int
    persons: frozenset[int]
    records: frozenset[int]
    keys: frozenset[int]

    def told(self, seq: int) -> Document:
        """As it stands in the head."""
        return {
            "seq": seq,
            "at": self.at,
            "persons": list(self.persons),
            "records": list(self.records),
            "keys": encode_keys(tuple(self.keys)),
        }


def to_tell(events: Mapping[int, Trace]) -> list[Document]:
    """What the head tells of the events of a commit: of all of them, or of none if that would be too much."""
    numbers = sum(len(t.persons) + len(t.records) + len(t.keys) for t in events.values())
    if len(events) > _MOST_TOLD or numbers > _MOST_NUMBERS:
        return []
    return [trace.told(seq) for seq, trace in events.items()]


def told_by(head: Document) -> dict[int, Trace]:
    """What the head tells of its last commit."""
    return {
        told["seq"]: _trace(told, decode_keys(told["keys"])) for told in head.get("touched", ())
    }


def _trace(document: Document, keys: Iterable[int]) -> Trace:
    persons, records = frozenset(document["persons"]), frozenset(document["records"])
    return Trace(document["at"], persons, records, frozenset(keys))


class Tail:
    """The last durable events by number: those of this process, and those of others as far as they were told."""

    def __init__(self) -> None:
        self._events: OrderedDict[int, Trace] = OrderedDict()

    def get(self, seq: int) -> Trace | None:
        """What the event touched, if that is known."""
        return self._events.get(seq)

    def between(self, first: int, last: int) -> tuple[Touched, ...] | None:
        """What the events from ``first`` to ``last`` touched; None unless all are known and none touched much."""
        found = []
        for seq in range(first, last + 1):
            trace = self._events.get(seq)
            if trace is None or len(trace.keys) > _MOST_KEYS:
                return None
            persons = tuple(sorted(map(format_mpi_id, trace.persons)))
            found.append(Touched(seq, decode_time(trace.at), persons, trace.keys))
        return tuple(found)

    def add(self, events: Mapping[int, Trace]) -> None:
        """Keep durable events."""
        self._events.update(events)
        while len(self._events) > 2 * LONGEST_TAIL:
            self._events.popitem(last=False)

    def clear_beyond(self, position: int) -> None:
        """Forget all if there was more than there is: another index was put in the place of this one."""
        if max(self._events, default=0) > position:
            self._events.clear()

    def clear(self) -> None:
        """Forget all: the history may have become another one."""
        self._events.clear()


async def traces(database: Database, session: AsyncClientSession, after: int) -> dict[int, Trace]:
    """Read what events touched. All versions of their records count: one of them may have just left a block."""
    found = (
        await database[EVENT]
        .find({"_id": {"$gt": after}}, {"at": 1, "persons": 1, "records": 1}, session=session)
        .limit(LONGEST_TAIL)
        .sort("_id", 1)
        .to_list()
    )
    keys = await keys_of_versions(
        database, session, {r for event in found for r in event["records"]}
    )
    return {
        event["_id"]: _trace(event, (key for record in event["records"] for key in keys[record]))
        for event in found
    }


async def keys_of_versions(
    database: Database, session: AsyncClientSession, records: Iterable[int]
) -> dict[int, set[int]]:
    """The blocking keys of all versions of each record that was ever seen."""
    keys: dict[int, set[int]] = defaultdict(set)
    numbers = list(records)
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        current = database[RECORD].find(
            {"_id": {"$in": some}}, {"keys": 1, "old_keys": 1}, session=session
        )
        async for document in current:
            keys[document["_id"]].update(keys_of(document))
        spans = {"$or": [versions_of(number) for number in some]}
        async for document in database[VERSION].find(spans, {"old_keys": 1}, session=session):
            keys[document["_id"] >> VERSION_BITS].update(keys_of(document))
    return keys
