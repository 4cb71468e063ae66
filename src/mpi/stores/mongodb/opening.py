"""How an address becomes a database that can be used, or one sentence about what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pymongo import AsyncMongoClient, WriteConcern
from pymongo.errors import (
    ConfigurationError as DriverConfigurationError,
)
from pymongo.errors import (
    ConnectionFailure,
    InvalidName,
    InvalidURI,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from mpi.errors import ConfigurationError
from mpi.stores.mongodb.abandoned import APP_NAME
from mpi.stores.mongodb.errors import name_of
from mpi.stores.mongodb.schema import Database, Document, prepare

_UNAUTHORIZED = 13
_AUTHENTICATION_FAILED = 18
_FIRST_WITH_SNAPSHOTS = 13
"""The wire version of MongoDB 5.0."""
_START_PATIENCE = 5.0
"""Seconds that a start gives a server at least to be found: both are often started together."""
_MIGRATION_PATIENCE = 6 * 3_600_000
"""Milliseconds that a migration may take: an index over many records is made in one call."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is and how to speak to it.

    ``timeout``: seconds for finding the server, and for each of its answers. Options in the URI
    outrank ``pool_size`` and ``timeout``.
    """

    uri: str = field(repr=False)
    database: str
    pool_size: int = 50
    timeout: float = 10.0


def client_for(address: Address, **more: Any) -> AsyncMongoClient[Document]:
    """A client that has not connected yet. ``more``: options of the driver that outrank those of the address.

    Raises ``ConfigurationError`` when the address cannot be one.
    """
    milliseconds = round(address.timeout * 1000)
    ours: dict[str, Any] = {
        # One more: who follows the index waits on a connection of its own.
        "maxPoolSize": address.pool_size + 1,
        "serverSelectionTimeoutMS": milliseconds,
        "connectTimeoutMS": milliseconds,
        "socketTimeoutMS": milliseconds,
        "retryWrites": True,
        "appName": APP_NAME,
    }
    given = address.uri.partition("?")[2].lower()
    left = {name: value for name, value in ours.items() if f"{name.lower()}=" not in given}
    try:
        # The driver takes a bare word for the name of a host.
        if not address.uri.startswith(("mongodb://", "mongodb+srv://")):
            raise InvalidURI
        return AsyncMongoClient(address.uri, **(left | more))
    except (InvalidURI, DriverConfigurationError, ValueError, TypeError):
        raise ConfigurationError(
            "MONGODB_URI is no address that MongoDB's driver takes; correct it to the form "
            "mongodb://user:password@host:27017/?replicaSet=rs0, with special characters percent-encoded"
        ) from None


def database_of(client: AsyncMongoClient[Document], name: str) -> Database:
    """The database, in which what is read is durable, and what is written too. Raises ``ConfigurationError``."""
    try:
        return client.get_database(
            name,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern("majority", j=True),
        )
    except InvalidName:
        raise ConfigurationError(
            "MPI_DB is no name that MongoDB takes; use letters, digits, - and _ only"
        ) from None


async def prepare_database(address: Address, fingerprint: bytes, *, create: bool) -> None:
    """Check that the server can be used, make or migrate the database. Raises ``ConfigurationError``.

    It has a connection of its own, because a request may wait for less than a start and a migration may.
    """
    patient = replace(address, timeout=max(address.timeout, _START_PATIENCE))
    client = client_for(patient, socketTimeoutMS=_MIGRATION_PATIENCE)
    try:
        check_server(await client.admin.command("hello"))
        await prepare(database_of(client, address.database), fingerprint, create=create)
    except PyMongoError as error:
        raise ConfigurationError(sentence(error)) from None
    finally:
        await client.close()


def check_server(hello: Document) -> None:
    """Raise ``ConfigurationError`` unless the server has what the store needs."""
    if hello.get("isreplicaset"):
        raise ConfigurationError(
            "MONGODB_URI names a replica set that is not initiated; run rs.initiate() on it once"
        )
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise ConfigurationError(
            "MONGODB_URI names a standalone mongod, which has no transactions; start it with "
            "--replSet rs0 and run rs.initiate() once: one member is enough"
        )
    if hello.get("maxWireVersion", 0) < _FIRST_WITH_SNAPSHOTS:
        raise ConfigurationError(
            "MONGODB_URI names a MongoDB older than 5.0; upgrade it, or name another"
        )
    if not hello.get("isWritablePrimary"):
        raise ConfigurationError(
            "MONGODB_URI names a member that is not the primary; name all members and replicaSet=, "
            "without directConnection"
        )


def sentence(error: PyMongoError) -> str:
    """What to tell about a server that cannot be used."""
    code = error.code if isinstance(error, OperationFailure) else None
    if code == _AUTHENTICATION_FAILED:
        return (
            "MONGODB_URI names a user or password that MongoDB refuses; correct them, and authSource= "
            "if the user is kept in another database"
        )
    if code == _UNAUTHORIZED:
        return (
            "the user in MONGODB_URI may not use the database that MPI_DB names; grant it readWrite "
            "there, or name a user in the URI"
        )
    if isinstance(error, ConnectionFailure):
        # Only looked at: the text may quote the address.
        text = str(error)
        if "SSL" in text or "TLS" in text or "certificate" in text:
            return (
                "MONGODB_URI and the server disagree about TLS; add tls=true and tlsCAFile= to the URI, "
                "or remove them, as the server has it"
            )
        if "closed" in text or "reset by peer" in text:
            return (
                "the server that MONGODB_URI names closes connections at once; if it wants TLS, add "
                "tls=true and tlsCAFile= to the URI"
            )
        return (
            "no MongoDB answers at the address in MONGODB_URI; start it, correct the address, or run "
            "without it by `--embedded`"
        )
    return f"the database that MPI_DB names cannot be used ({name_of(error)}); see MongoDB's log"
