"""From settings to MongoDB, for the index and for the cache that lies beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pymongo import AsyncMongoClient

from mpi.settings import Settings
from mpi.stores.mongo_opening import Address, client_for
from mpi.stores.mongodb import MongoStore

_CACHE_PATIENCE = 1.0
"""Seconds after which a connection of the cache counts as dead; a caller goes on much sooner."""


def mongo_address(settings: Settings) -> Address:
    """Where MongoDB is, and how to speak to it."""
    return Address(
        settings.mongodb_uri.get_secret_value(),
        settings.database,
        settings.mongo_pool_size,
        settings.mongo_timeout,
    )


def mongo_store(settings: Settings) -> MongoStore:
    """The index in MongoDB; it is to be opened."""
    return MongoStore(mongo_address(settings))


def cache_client(settings: Settings) -> AsyncMongoClient[dict[str, Any]]:
    """A client with the patience of a cache. Raises ``ConfigurationError`` when the address cannot be one."""
    return client_for(
        replace(mongo_address(settings), timeout=_CACHE_PATIENCE),
        waitQueueTimeoutMS=round(_CACHE_PATIENCE * 1000),
        retryReads=False,
        retryWrites=False,
    )
