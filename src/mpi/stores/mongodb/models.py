"""Model documents and their activations in MongoDB. See :class:`mpi.ports.ModelStore`.

One insertion each, which is atomic by itself: the version, or the number, is the ``_id``.
"""

from __future__ import annotations

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from mpi.errors import ConcurrentChange, Conflict
from mpi.ports import Activation, KeptModel, ModelRole
from mpi.stores.codec import decode_time, encode_time
from mpi.stores.mongodb.errors import translated
from mpi.stores.mongodb.schema import ACTIVATION, MODEL, Database


async def add(database: Database, version: str, document: bytes, at: datetime, actor: str) -> None:
    kept = {
        "_id": version,
        "document": document,
        "added_at": encode_time(at),
        "added_by": actor,
    }
    with translated():
        try:
            await database[MODEL].insert_one(kept)
        except DuplicateKeyError:
            if await document_of(database, version) != document:
                raise Conflict("another model has this version already") from None


async def models(database: Database) -> tuple[KeptModel, ...]:
    with translated():
        cursor = database[MODEL].find({}, {"document": 0}).sort([("added_at", 1), ("_id", 1)])
        found = await cursor.to_list()
    return tuple(KeptModel(d["_id"], decode_time(d["added_at"]), d["added_by"]) for d in found)


async def document_of(database: Database, version: str) -> bytes | None:
    with translated():
        found = await database[MODEL].find_one({"_id": version})
    return None if found is None else bytes(found["document"])


async def activate(database: Database, wanted: Activation) -> None:
    """Add an activation. It has to be numbered as the next one."""
    if wanted.version is not None and await document_of(database, wanted.version) is None:
        raise Conflict("no model of this version was added")
    if await last(database) < wanted.number - 1:
        raise Conflict("there is no activation of this number")
    document = {
        "_id": wanted.number,
        "role": wanted.role.value,
        "version": wanted.version,
        "at": encode_time(wanted.at),
        "actor": wanted.actor,
        "reason": wanted.reason,
    }
    with translated():
        try:
            await database[ACTIVATION].insert_one(document)
        except DuplicateKeyError:
            raise ConcurrentChange("another model was activated meanwhile") from None


async def activations(database: Database) -> tuple[Activation, ...]:
    with translated():
        found = await database[ACTIVATION].find().sort("_id", 1).to_list()
    return tuple(
        Activation(
            number=d["_id"],
            role=ModelRole(d["role"]),
            version=d["version"],
            at=decode_time(d["at"]),
            actor=d["actor"],
            reason=d["reason"],
        )
        for d in found
    )


async def last(database: Database) -> int:
    with translated():
        found = await database[ACTIVATION].find_one({}, {"_id": 1}, sort=[("_id", -1)])
    return 0 if found is None else int(found["_id"])
