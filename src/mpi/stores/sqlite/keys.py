"""API keys in SQLite, by digest. See :class:`mpi.ports.KeyStore`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from mpi.errors import Conflict
from mpi.ports import ApiKey
from mpi.stores.codec import decode_time, encode_time

_KEYS = "SELECT key_id, name, scopes, created_at, revoked_at FROM api_key"
BY_DIGEST = f"{_KEYS} WHERE digest = ?"


def add(
    connection: sqlite3.Connection,
    key_id: str,
    name: str,
    digest: bytes,
    scopes: frozenset[str],
    at: datetime,
) -> None:
    row = (key_id, name, digest, " ".join(sorted(scopes)), encode_time(at))
    try:
        connection.execute("INSERT INTO api_key VALUES (?, ?, ?, ?, ?, NULL)", row)
    except sqlite3.IntegrityError as error:
        raise Conflict("this API key exists already") from error


def keys(connection: sqlite3.Connection) -> tuple[ApiKey, ...]:
    return tuple(map(api_key, connection.execute(f"{_KEYS} ORDER BY created_at, key_id")))


def revoke(connection: sqlite3.Connection, key_id: str, at: datetime) -> bool:
    statement = "UPDATE api_key SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL"
    return connection.execute(statement, (encode_time(at), key_id)).rowcount == 1


def api_key(row: Sequence[Any]) -> ApiKey:
    """The key that a row of ``BY_DIGEST`` tells of."""
    return ApiKey(
        key_id=row[0],
        name=row[1],
        scopes=frozenset(row[2].split()),
        created_at=decode_time(row[3]),
        revoked_at=None if row[4] is None else decode_time(row[4]),
    )
