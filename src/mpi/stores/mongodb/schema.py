"""Collections of the MongoDB store, their indexes and migrations, and the document at the head of everything.

========== ========================== =====================================================================
collection ``_id``                    what it holds
========== ========================== =====================================================================
meta       ``head``                   schema, key fingerprint, counters, last event and what it touched
meta       ``calls`` and a month      calls to an outside provider that were spent in it
           ``transfer``               instead, while the index is being copied from elsewhere
event      its sequence number        what happened; the moves inside are the links of records to persons
person     the number of its mpi_id   version, active, ``into`` (whom it was merged into)
record     a number                   the current version with its content; ``person`` and ``keys`` while active
version    record << 20 | version     every other version
task       its number                 with the record's source and id, and the numbers of its candidates
assertion  a number                   ``records`` only while it is in force
errand     its kind and records       what is still to be said elsewhere; gone when it was
api_key    its public id              a digest of the secret
model      its version                the document as it was added
activation its number                 which model took which role, when, at whose word and why
========== ========================== =====================================================================

Times are microseconds since 1970, UTC. Content is kept as :mod:`mpi.stores.codec` writes it.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from pymongo import ASCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, OperationFailure

from mpi.errors import ConfigurationError
from mpi.stores.mongodb.errors import name_of

Document = dict[str, Any]
Database = AsyncDatabase[Document]

META, EVENT, PERSON, RECORD = "meta", "event", "person", "record"
VERSION, TASK, ASSERTION = "version", "task", "assertion"
ERRAND, API_KEY = "errand", "api_key"
MODEL, ACTIVATION = "model", "activation"
HEAD, TRANSFER = "head", "transfer"

COUNTERS = ("minted", "records", "persons", "retired", "tasks_open", "assertions")
"""What every commit keeps in the head, so that counting never scans."""

_NUMBERS = ("position", "last_record", "last_task", "last_assertion", *COUNTERS)


_SMALL_PAGES = {"wiredTiger": {"configString": "leaf_page_max=4KB"}}
"""For an index of digests: those of a record fall on some 25 pages, each of which is read and written whole."""

_NAMESPACE_EXISTS = 48
_OF_WHAT_IS_FOUND = ("unique", "sparse", "partialFilterExpression")

log = structlog.get_logger(__name__)


def _index(*names: str, unique: bool = False, sparse: bool = False, **options: Any) -> IndexModel:
    keys = [(name, ASCENDING) for name in names]
    return IndexModel(keys, unique=unique, sparse=sparse, name="_".join(names), **options)


INDEXES: Mapping[str, tuple[IndexModel, ...]] = {
    META: (),
    EVENT: (_index("persons"), _index("records"), _index("undoes", sparse=True)),
    PERSON: (),
    RECORD: (
        _index("source", "source_id", unique=True),
        _index("person"),  # not sparse: $lookup would not use it
        _index("keys", sparse=True, storageEngine=_SMALL_PAGES),
    ),
    VERSION: (),
    TASK: (_index("status", "_id"), _index("record"), _index("persons")),
    ASSERTION: (_index("records", sparse=True),),
    ERRAND: (_index("lane", "due_at"), _index("kind", "created_at")),
    API_KEY: (_index("digest", unique=True),),
    MODEL: (),
    ACTIVATION: (),
}


async def make_collections(database: Database) -> None:
    """Collections exist before the first transaction: making one inside would conflict with others."""
    await asyncio.gather(*(_make(database, name, indexes) for name, indexes in INDEXES.items()))


async def _make(database: Database, name: str, indexes: Sequence[IndexModel]) -> None:
    if not indexes:
        await make_collection(database, name)
    elif missing := await lacking(database, name):
        await database[name].create_indexes(missing)


async def lacking(database: Database, name: str) -> list[IndexModel]:
    """Which indexes of the collection are not there."""
    known = (await database[name].index_information()).values()
    return [index for index in INDEXES[name] if not any(_serves(there, index) for there in known)]


def _serves(there: Mapping[str, Any], index: IndexModel) -> bool:
    """Whether one that is there finds the same, perhaps under another name or with other pages.

    To make it anew is for whoever can spare the time. MongoDB refuses to make ours beside one of its name that finds
    something else.
    """
    wanted = index.document
    return list(wanted["key"].items()) == there["key"] and all(
        bool(wanted.get(option)) == bool(there.get(option)) for option in _OF_WHAT_IS_FOUND
    )


async def make_again(database: Database) -> None:
    """Make the indexes that somebody has dropped since; tell which, and which cannot be made.

    Of several processes that start each may ask: MongoDB makes an index once, and all wait for it.
    """
    await asyncio.gather(*(_make_again(database, name) for name in INDEXES))


async def _make_again(database: Database, name: str) -> None:
    for index in await lacking(database, name):
        where = f"{name}.{index.document['name']}"
        log.warning("index_missing", where=where)
        try:
            await database[name].create_indexes([index])
        except OperationFailure as error:
            # To refuse the start would help nobody; `mpi verify` tells about it too.
            log.warning("index_not_made", where=where, problem=name_of(error))


async def make_collection(database: Database, name: str) -> None:
    """A collection without its indexes, unless it is there, perhaps since another process has made it just now."""
    try:
        await database.create_collection(name, check_exists=False)
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise


Migration = Callable[[Database], Awaitable[None]]

MIGRATIONS: tuple[Migration, ...] = (make_collections, make_collections, make_collections)
"""The first made what there was then, the second adds the outbox, the third the models: making what is there already
changes nothing.

Migration n leads from schema n to n + 1, and may be repeated: MongoDB makes no collection in a transaction."""

SCHEMA_VERSION = len(MIGRATIONS)


async def prepare(database: Database, fingerprint: bytes, *, create: bool) -> None:
    """Make or migrate the database, and check that it is ours. Raises ``ConfigurationError``, ``PyMongoError``."""
    head = await database[META].find_one({"_id": HEAD})
    if await database[META].find_one({"_id": TRANSFER}):
        raise ConfigurationError(
            "the database that MPI_DB names is being filled by `mpi migrate`; let it finish, or repeat it"
        )
    if head is None:
        await _check_vacant(database, create=create)
    else:
        check_head(head, fingerprint)
    schema = 0 if head is None else int(head["schema"])
    for number in range(schema, SCHEMA_VERSION):
        await MIGRATIONS[number](database)
    if schema == SCHEMA_VERSION:
        await make_again(database)
    if head is None:
        await _begin(database, fingerprint)
    elif schema < SCHEMA_VERSION:
        await database[META].update_one(
            {"_id": HEAD, "schema": schema}, {"$set": {"schema": SCHEMA_VERSION}}
        )


async def _check_vacant(database: Database, *, create: bool) -> None:
    if not create:
        raise ConfigurationError(
            "there is no index in the database that MPI_DB names; make one with `mpi load FILE` or "
            "`mpi serve`, or name another"
        )
    if set(await database.list_collection_names()) - set(INDEXES):
        raise ConfigurationError(
            "the database that MPI_DB names holds something else than an index; name another"
        )


async def _begin(database: Database, fingerprint: bytes) -> None:
    head = {"_id": HEAD, "schema": SCHEMA_VERSION, "fingerprint": fingerprint, "demo": False}
    try:
        await database[META].insert_one(head | dict.fromkeys(_NUMBERS, 0))
    except DuplicateKeyError:
        # Another process was faster; its head counts, if it has the same key.
        check_head(await database[META].find_one({"_id": HEAD}) or {}, fingerprint)


def check_head(head: Document, fingerprint: bytes) -> None:
    """Raise ``ConfigurationError`` unless this version reads the index, and with this key."""
    if head.get("schema", 0) > SCHEMA_VERSION:
        raise ConfigurationError(
            f"the index in MPI_DB has schema {head['schema']}, this version knows up to "
            f"{SCHEMA_VERSION}; install the newer version or name another database"
        )
    if not hmac.compare_digest(head.get("fingerprint", b""), fingerprint):
        raise ConfigurationError(
            "the index in MPI_DB was made with another HMAC key; set MPI_HMAC_KEY to that key, or "
            "name another database"
        )
