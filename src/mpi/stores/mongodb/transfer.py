"""A database of MongoDB as the source or target of a transfer. A target has no head before it is whole.

Its indexes are made at the end: sorted at once they take a part of the time that a million insertions at random
places would, and none of the cache that the documents need meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pymongo.errors import DuplicateKeyError, PyMongoError

from mpi.domain.record import RecordStatus
from mpi.errors import ConfigurationError, StoreUnavailable
from mpi.stores.codec import decode_keys, encode_keys
from mpi.stores.history_codec import decode_event, touched_records
from mpi.stores.mongodb.documents import keys_of
from mpi.stores.mongodb.errors import is_duplicate, name_of
from mpi.stores.mongodb.opening import Address, check_server, client_for, database_of, sentence
from mpi.stores.mongodb.schema import (
    ACTIVATION,
    API_KEY,
    ASSERTION,
    ERRAND,
    EVENT,
    HEAD,
    INDEXES,
    META,
    MODEL,
    PERSON,
    RECORD,
    SCHEMA_VERSION,
    TASK,
    TRANSFER,
    VERSION,
    Document,
    check_head,
    make_collection,
    make_collections,
)
from mpi.stores.numbering import person_number
from mpi.stores.transfer import OF_CALLS, TABLES, Check, Facts, Row, as_calls

_PATIENCE = 6 * 3_600_000
"""Milliseconds for one answer: making the indexes of a large index is one."""
_OPTIONAL = {"undoes", "recorded_at", "warnings", "person", "lifted"}
"""Fields that are left out rather than null."""


@contextmanager
def told() -> Iterator[None]:
    """What the driver raises inside becomes one sentence: a server that fails meanwhile is no defect of ours.

    Raises ``StoreUnavailable``, or ``ConfigurationError`` when somebody else fills the same database.
    """
    try:
        yield
    except PyMongoError as error:
        if isinstance(error, DuplicateKeyError) or is_duplicate(error):
            raise ConfigurationError(
                "another `mpi migrate` fills the database that MPI_DB names; let it finish, or stop it and "
                "repeat the command"
            ) from None
        raise StoreUnavailable(
            f"MongoDB failed meanwhile ({name_of(error)}); repeat the command when it answers, and it goes on"
        ) from None


class MongoTransfer:
    """Implements :class:`mpi.stores.transfer.Target`, and so a source too. To be used within :func:`told`."""

    def __init__(self, address: Address) -> None:
        self._client = client_for(address, socketTimeoutMS=_PATIENCE)
        self._database = database_of(self._client, address.database)
        self._told: Facts | None = None
        self._is_whole = False

    async def open(self) -> None:
        """Connect. Raises ``ConfigurationError``."""
        try:
            check_server(await self._client.admin.command("hello"))
        except PyMongoError as error:
            raise ConfigurationError(sentence(error)) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def facts(self) -> Facts:
        """See :class:`mpi.stores.transfer.Source`."""
        if self._told is not None:
            return self._told
        meta = self._database[META]
        if await meta.find_one({"_id": TRANSFER}):
            raise ConfigurationError(
                "the database that MPI_DB names is being filled by `mpi migrate`; let it finish, or repeat it"
            )
        head = await meta.find_one({"_id": HEAD})
        if head is None:
            raise ConfigurationError(
                "there is no index in the database that MPI_DB names; name another"
            )
        check_head(head, head["fingerprint"])
        if (
            head["schema"] < SCHEMA_VERSION
        ):  # whoever opens it takes it over: a source is never changed
            raise ConfigurationError(
                f"the index in MPI_DB has schema {head['schema']} of an older version; start the service, or run "
                f"`mpi stats`, which takes it over to schema {SCHEMA_VERSION}, then migrate"
            )
        calls = await meta.find({"_id": {"$regex": f"^{OF_CALLS}"}}).to_list()
        return Facts(
            fingerprint=head["fingerprint"],
            minted=head["minted"],
            demo=head["demo"],
            position=head["position"],
            last_task=head["last_task"],
            calls=as_calls((document["_id"], document["spent"]) for document in calls),
        )

    async def count(self, table: str) -> int:
        """See :class:`mpi.stores.transfer.Source`."""
        return await self._database[table].count_documents({})

    async def rows(self, table: str, after: Any = None) -> AsyncIterator[Row]:
        """See :class:`mpi.stores.transfer.Source`."""
        wanted: Document = {} if after is None else {"_id": {"$gt": after}}
        async for document in self._database[table].find(wanted).sort("_id", 1):
            yield _row(table, document)

    async def begin(self, facts: Facts) -> bool:
        """See :class:`mpi.stores.transfer.Target`."""
        state = {
            "_id": TRANSFER,
            "schema": SCHEMA_VERSION,
            "fingerprint": facts.fingerprint,
            "minted": facts.minted,
            "demo": facts.demo,
            "position": facts.position,
            "last_task": facts.last_task,
            "calls": [list(pair) for pair in facts.calls],
        }
        begun = await self._database[META].find_one({"_id": TRANSFER})
        if begun is None:
            names = await self._database.list_collection_names()
            if META in names and await self.facts() == facts:
                self._is_whole = True
                return False
            if names:
                raise ConfigurationError(
                    "the database that MPI_DB names is not empty; drop it, or name another"
                )
            # First of all: what is made after it is known as begun, whenever this ends.
            await self._database[META].insert_one(state)
        elif begun != state:
            raise ConfigurationError(
                "the database that MPI_DB names was begun from another state of the index; drop it and "
                "migrate again"
            )
        self._told = facts
        for name in INDEXES:
            await make_collection(self._database, name)
        return True

    async def last(self, table: str) -> Any:
        """See :class:`mpi.stores.transfer.Target`."""
        found = await self._database[table].find_one({}, {"_id": 1}, sort=[("_id", -1)])
        return None if found is None else found["_id"]

    async def add(self, table: str, rows: Sequence[Row]) -> None:
        """See :class:`mpi.stores.transfer.Target`."""
        documents = [_document(table, row) for row in rows]
        if table in {TASK, ASSERTION}:
            await self._name_records(documents)
        await self._database[table].insert_many(documents)

    async def _name_records(self, documents: Sequence[Document]) -> None:
        """Tasks and assertions bear the keys of their records, to be read without them."""
        sides = [(d, side) for d in documents for side in ("record", "left", "right") if side in d]
        numbers = list({document[side] for document, side in sides})
        cursor = self._database[RECORD].find(
            {"_id": {"$in": numbers}}, {"source": 1, "source_id": 1}
        )
        names = {r["_id"]: (r["source"], r["source_id"]) for r in await cursor.to_list()}
        for document, side in sides:
            name = names[document[side]]
            if side == "record":
                document["source"], document["source_id"] = name
            else:
                document[side] = [document[side], *name]

    async def finish(self, facts: Facts, check: Check) -> None:
        """See :class:`mpi.stores.transfer.Target`."""
        if self._is_whole:
            return
        await make_collections(self._database)
        count = self._number_of
        head = {
            "_id": HEAD,
            "schema": SCHEMA_VERSION,
            "fingerprint": facts.fingerprint,
            "demo": facts.demo,
            "position": facts.position,
            "minted": facts.minted,
            "last_record": await self.last(RECORD) or 0,
            "last_task": facts.last_task,
            "last_assertion": await self.last(ASSERTION) or 0,
            "records": await count(RECORD, {"status": RecordStatus.ACTIVE.value}),
            "persons": await count(PERSON, {"active": True}),
            "retired": await count(PERSON, {"active": False}),
            "tasks_open": await count(TASK, {"status": {"$ne": "decided"}}),
            "assertions": await count(ASSERTION, {"records": {"$exists": True}}),
        }
        for name, spent in facts.calls:
            await self._database[META].replace_one({"_id": name}, {"spent": spent}, upsert=True)
        await check()
        await self._database[META].replace_one({"_id": HEAD}, head, upsert=True)
        await self._database[META].delete_one({"_id": TRANSFER})

    async def _number_of(self, collection: str, wanted: Document) -> int:
        return await self._database[collection].count_documents(wanted)


def _row(table: str, document: Document) -> Row:
    """A document as a row: what its fields are named in :data:`TABLES`, but for a few."""
    made = _AS_ROW.get(table)
    values = document if made is None else document | made(document)
    return (document["_id"], *(_plain(values.get(name)) for name in TABLES[table][1:]))


def _plain(value: Any) -> Any:
    """Integers of 64 bits are a class of their own in the driver, and lists are no tuples."""
    if isinstance(value, bool) or not isinstance(value, int | list):
        return value
    return int(value) if isinstance(value, int) else tuple(value)


def _document(table: str, row: Row) -> Document:
    fields = dict(zip(TABLES[table], row, strict=True))
    document = {"_id": row[0]} | {
        name: value
        for name, value in list(fields.items())[1:]
        if value is not None or name not in _OPTIONAL
    }
    document.pop("keys", None)
    return document | _AS_DOCUMENT[table](fields)


def _event_document(fields: Document) -> Document:
    names = ("seq", "kind", "at", "actor", "reason", "undoes", "payload")
    event = decode_event([fields[name] for name in names])
    return {
        "persons": [person_number(mpi_id) for mpi_id in event.persons],
        "records": touched_records(fields["payload"]),
    }


def _record_document(fields: Document) -> Document:
    if fields["person"] is None:
        return {"old_keys": fields["keys"]}
    return {"keys": list(decode_keys(fields["keys"]))}


def _task_document(fields: Document) -> Document:
    persons = {person_number(mpi_id) for mpi_id in fields["candidates"]}
    return {
        "candidates": list(fields["candidates"]),
        "persons": sorted(number for number in persons if number is not None),
    }


def _assertion_document(fields: Document) -> Document:
    in_force = fields["lifted"] is None
    return {"records": [fields["left"], fields["right"]]} if in_force else {}


_AS_DOCUMENT: Mapping[str, Callable[[Document], Document]] = {
    EVENT: _event_document,
    PERSON: lambda fields: {"active": bool(fields["active"])},
    RECORD: _record_document,
    VERSION: lambda fields: {"old_keys": fields["keys"]},
    TASK: _task_document,
    ASSERTION: _assertion_document,
    ERRAND: lambda _: {},
    API_KEY: lambda fields: {"scopes": list(fields["scopes"])},
    MODEL: lambda _: {},
    ACTIVATION: lambda _: {},
}
_AS_ROW: Mapping[str, Callable[[Document], Document]] = {
    PERSON: lambda document: {"active": int(document["active"])},
    RECORD: lambda document: {"keys": encode_keys(keys_of(document))},
    VERSION: lambda document: {"keys": document["old_keys"]},
    ASSERTION: lambda document: {"left": document["left"][0], "right": document["right"][0]},
}
