"""What the last events touched, kept in memory: every commit asks whether one of them came in between."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pymongo.asynchronous.client_session import AsyncClientSession

from mpi.stores.codec import decode_keys
from mpi.stores.mongo_documents import keys_of
from mpi.stores.mongo_schema import EVENT, RECORD, VERSION, Database
from mpi.stores.rows import VERSION_BITS

LONGEST_TAIL = 2_000
"""Events that may come between a decision and its commit. Deciding again is cheaper than reading more of them."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Numbers of persons and records that an event touched, and keys under which these records lay or lie."""

    persons: frozenset[int]
    records: frozenset[int]
    keys: frozenset[int]


class Tail:
    """The last durable events by number. Those of other processes are read when they are asked for."""

    def __init__(self) -> None:
        self._events: OrderedDict[int, Touched] = OrderedDict()

    def get(self, seq: int) -> Touched | None:
        """What the event touched, if that is known."""
        return self._events.get(seq)

    def add(self, events: Iterable[tuple[int, Touched]]) -> None:
        """Keep durable events."""
        self._events.update(events)
        while len(self._events) > 2 * LONGEST_TAIL:
            self._events.popitem(last=False)

    async def load(self, database: Database, session: AsyncClientSession, after: int) -> None:
        """Read what events touched. All versions of their records count: one of them may have just left a block."""
        found = (
            await database[EVENT]
            .find({"_id": {"$gt": after}}, {"persons": 1, "records": 1}, session=session)
            .limit(LONGEST_TAIL)
            .sort("_id", 1)
            .to_list()
        )
        keys = await _keys_of(database, session, {r for event in found for r in event["records"]})
        self.add(
            (
                event["_id"],
                Touched(
                    frozenset(event["persons"]),
                    frozenset(event["records"]),
                    frozenset(key for record in event["records"] for key in keys[record]),
                ),
            )
            for event in found
        )


async def _keys_of(
    database: Database, session: AsyncClientSession, records: set[int]
) -> dict[int, set[int]]:
    keys: dict[int, set[int]] = defaultdict(set)
    fields = {"keys": 1, "old_keys": 1, "version": 1}
    wanted = {"_id": {"$in": list(records)}}
    async for document in database[RECORD].find(wanted, fields, session=session):
        keys[document["_id"]].update(keys_of(document))
    ranges = [
        {"_id": {"$gte": record << VERSION_BITS, "$lt": (record + 1) << VERSION_BITS}}
        for record in records
    ]
    if ranges:
        found = database[VERSION].find({"$or": ranges}, {"old_keys": 1}, session=session)
        async for document in found:
            keys[document["_id"] >> VERSION_BITS].update(decode_keys(document["old_keys"]))
    return keys
