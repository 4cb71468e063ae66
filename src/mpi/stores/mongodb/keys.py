"""API keys in MongoDB, by digest. See :class:`mpi.ports.KeyStore`. One write each, which is atomic by itself."""

from __future__ import annotations

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from mpi.errors import Conflict
from mpi.ports import ApiKey
from mpi.stores.codec import decode_time, encode_time
from mpi.stores.mongodb.errors import translated
from mpi.stores.mongodb.schema import API_KEY, Database, Document


async def add(
    database: Database,
    key_id: str,
    name: str,
    digest: bytes,
    scopes: frozenset[str],
    at: datetime,
) -> None:
    document = {
        "_id": key_id,
        "name": name,
        "digest": digest,
        "scopes": sorted(scopes),
        "created_at": encode_time(at),
        "revoked_at": None,
    }
    with translated():
        try:
            await database[API_KEY].insert_one(document)
        except DuplicateKeyError:
            raise Conflict("this API key exists already") from None


async def find(database: Database, digest: bytes) -> ApiKey | None:
    with translated():
        document = await database[API_KEY].find_one({"digest": digest})
    return None if document is None else _api_key(document)


async def keys(database: Database) -> tuple[ApiKey, ...]:
    with translated():
        documents = await database[API_KEY].find().sort([("created_at", 1), ("_id", 1)]).to_list()
    return tuple(map(_api_key, documents))


async def revoke(database: Database, key_id: str, at: datetime) -> bool:
    wanted = {"_id": key_id, "revoked_at": None}
    with translated():
        done = await database[API_KEY].update_one(wanted, {"$set": {"revoked_at": encode_time(at)}})
    return done.modified_count == 1


def _api_key(document: Document) -> ApiKey:
    revoked_at = document["revoked_at"]
    return ApiKey(
        key_id=document["_id"],
        name=document["name"],
        scopes=frozenset(document["scopes"]),
        created_at=decode_time(document["created_at"]),
        revoked_at=None if revoked_at is None else decode_time(revoked_at),
    )
