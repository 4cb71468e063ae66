"""From settings to MongoDB, for the index and for the cache that lies beside it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError as DriverConfigurationError
from pymongo.uri_parser import parse_uri

from mpi.errors import ConfigurationError
from mpi.settings import Settings
from mpi.stores.mongodb.opening import Address, client_for
from mpi.stores.mongodb.store import MongoStore

_CACHE_PATIENCE = 1.0
"""Seconds after which a connection of the cache counts as dead; a caller goes on much sooner."""
_LOOKED_UP = "mongodb+srv://"

_UNKNOWN_OPTION = (
    "MONGODB_URI has an option that MongoDB's driver does not take, or one twice; correct or remove what "
    "follows the question mark"
)
_UNKNOWN_NAME = (
    "MONGODB_URI has a mongodb+srv:// name that DNS does not answer for, or an option that the driver does not take; "
    "correct it, or list the servers after mongodb://"
)


def mongo_address(settings: Settings) -> Address:
    """Where MongoDB is, and how to speak to it. Raises ``ConfigurationError`` when the driver could not use it."""
    address = Address(
        settings.mongodb_uri.get_secret_value(),
        settings.database,
        settings.mongo_pool_size,
        settings.mongo_timeout,
    )
    _check_files(address)
    _check_options(address)
    return address


def _check_files(address: Address) -> None:
    """Only the making of a client reads them all. None of it is connected."""
    try:
        with warnings.catch_warnings(action="ignore"):
            client_for(address)
    except OSError:
        raise ConfigurationError(
            "MONGODB_URI names a file of certificates or of a key that cannot be read as one; correct tlsCAFile= or "
            "tlsCertificateKeyFile= in it, or the file's permissions"
        ) from None


def _check_options(address: Address) -> None:
    """A client leaves out what it does not know, with a warning, and looks names up only when it connects."""
    is_looked_up = address.uri.startswith(_LOOKED_UP)
    try:
        # Of an option that is there twice it warns even so.
        with warnings.catch_warnings(action="error", category=UserWarning):
            parse_uri(address.uri)
    except (DriverConfigurationError, ValueError, TypeError, UserWarning):
        raise ConfigurationError(_UNKNOWN_NAME if is_looked_up else _UNKNOWN_OPTION) from None


def mongo_store(settings: Settings) -> MongoStore:
    """The index in MongoDB; it is to be opened. Raises ``ConfigurationError`` as :func:`mongo_address` does."""
    return MongoStore(mongo_address(settings))


def cache_client(settings: Settings) -> AsyncMongoClient[dict[str, Any]]:
    """A client with the patience of a cache. Raises ``ConfigurationError`` when the address cannot be one."""
    return client_for(
        replace(mongo_address(settings), timeout=_CACHE_PATIENCE),
        waitQueueTimeoutMS=round(_CACHE_PATIENCE * 1000),
        retryReads=False,
        retryWrites=False,
    )
