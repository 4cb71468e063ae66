"""The last tier: answers in a MongoDB collection that drops them when they expire; they survive restarts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from bson.binary import Binary
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern

from mpi.cache.sealing import Seal
from mpi.errors import CacheUnavailable, ConfigurationError, MpiError
from mpi.ports import KeptAnswer

Document = dict[str, Any]
_REFUSED = {13, 18}
"""Unauthorized and AuthenticationFailed."""
_INDEX_KNOWN_S = 60.0
"""How long an index counts as there: whoever drops the collection to clear the cache drops the index with it."""


class MongoCache:
    """See :class:`mpi.ports.RemoteCache`. ``prefix`` begins every key; ``now``: seconds since 1970."""

    tier = "mongodb"

    def __init__(
        self,
        client: AsyncMongoClient[Document],
        database: str,
        prefix: bytes,
        seal: Seal,
        *,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        # A lost answer costs one more call: nobody waits for other members or for the disk.
        self._answers = client[database].get_collection("answer", write_concern=WriteConcern(w=1))
        self._prefix = prefix
        self._seal = seal
        self._now = now
        self._indexed_at = -math.inf

    async def get(self, key: bytes) -> KeptAnswer | None:
        """See :class:`mpi.ports.AnswerCache`. The server drops what has expired a minute later."""
        name = self._prefix + key
        with _translated():
            found = await self._answers.find_one({"_id": Binary(name)}, {"sealed": 1})
        answer = None if found is None else self._seal.open(name, found["sealed"])
        return answer if answer and answer.expires > self._now() else None

    async def put(self, key: bytes, answer: KeptAnswer) -> None:
        """See :class:`mpi.ports.AnswerCache`."""
        name = self._prefix + key
        content = {
            "sealed": self._seal.close(name, answer),
            "expires": datetime.fromtimestamp(answer.expires, UTC),
        }
        with _translated():
            if not 0 <= self._now() - self._indexed_at < _INDEX_KNOWN_S:
                await self._answers.create_index("expires", expireAfterSeconds=0)
                self._indexed_at = self._now()
            await self._answers.replace_one({"_id": Binary(name)}, content, upsert=True)

    async def check(self) -> None:
        """See :class:`mpi.ports.RemoteCache`. A sign of life that takes the right to read."""
        with _translated():
            await self._answers.find_one({"_id": Binary(self._prefix)}, {"_id": 1})

    async def close(self) -> None:
        """See :class:`mpi.ports.RemoteCache`."""
        await self._client.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the driver become ours, with the remedy and without what the server said."""
    try:
        yield
    except PyMongoError as error:
        raise _problem(error) from None


def _problem(error: PyMongoError) -> MpiError:
    if isinstance(error, OperationFailure) and error.code in _REFUSED:
        return ConfigurationError(
            "MongoDB does not accept the user and password in MONGODB_URI, or gives them no right to the database "
            "in MPI_DB; correct them"
        )
    return CacheUnavailable(
        "MongoDB does not answer at MONGODB_URI; start it, correct the address or its tls options, or take mongodb "
        "out of MPI_CACHE"
    )
