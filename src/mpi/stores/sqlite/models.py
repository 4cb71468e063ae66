"""Model documents and their activations in SQLite. See :class:`mpi.ports.ModelStore`."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from mpi.errors import ConcurrentChange, Conflict
from mpi.ports import Activation, KeptModel, ModelRole
from mpi.stores.codec import decode_time, encode_time

LAST = "SELECT coalesce(max(number), 0) FROM activation"


def add(
    connection: sqlite3.Connection, version: str, document: bytes, at: datetime, actor: str
) -> None:
    known = document_of(connection, version)
    if known is None:
        row = (version, document, encode_time(at), actor)
        connection.execute("INSERT INTO model VALUES (?, ?, ?, ?)", row)
    elif known != document:
        raise Conflict("another model has this version already")


def models(connection: sqlite3.Connection) -> tuple[KeptModel, ...]:
    rows = connection.execute(
        "SELECT version, added_at, added_by FROM model ORDER BY added_at, version"
    )
    return tuple(KeptModel(version, decode_time(at), actor) for version, at, actor in rows)


def document_of(connection: sqlite3.Connection, version: str) -> bytes | None:
    row = connection.execute("SELECT document FROM model WHERE version = ?", (version,)).fetchone()
    return None if row is None else bytes(row[0])


def activate(connection: sqlite3.Connection, wanted: Activation) -> None:
    """Add an activation. It has to be numbered as the next one."""
    if wanted.version is not None and document_of(connection, wanted.version) is None:
        raise Conflict("no model of this version was added")
    if connection.execute(LAST).fetchone()[0] != wanted.number - 1:
        raise ConcurrentChange("another model was activated meanwhile")
    row = (
        wanted.number,
        wanted.role.value,
        wanted.version,
        encode_time(wanted.at),
        wanted.actor,
        wanted.reason,
    )
    connection.execute("INSERT INTO activation VALUES (?, ?, ?, ?, ?, ?)", row)


def activations(connection: sqlite3.Connection) -> tuple[Activation, ...]:
    rows = connection.execute("SELECT * FROM activation ORDER BY number")
    return tuple(
        Activation(number, ModelRole(role), version, decode_time(at), actor, reason)
        for number, role, version, at, actor, reason in rows
    )
