"""Blocking keys of an index in one SQLite file, wherever they lie."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mpi.stores.sqlite.schema import Connection, connect

_IN_TABLES = (
    "SELECT key, record FROM blocking_key UNION ALL SELECT key, record FROM blocking_recent"
)


def all_keys(path: Path) -> list[tuple[int, int]]:
    """Key and record of all, in order."""
    with closing(connect(path, read_only=True)) as connection:
        return _all_keys(connection)


def settle_keys(path: Path) -> None:
    """Put all keys where the first version of the schema had them."""
    with closing(connect(path)) as connection:
        rows = _all_keys(connection)
        connection.execute("BEGIN")
        for table in ("blocking_log", "blocking_recent", "blocking_key"):
            connection.execute(f"DELETE FROM {table}")
        connection.executemany("INSERT INTO blocking_key VALUES (?, ?)", rows)
        connection.execute("COMMIT")


def _all_keys(connection: Connection) -> list[tuple[int, int]]:
    connection.new_keys.catch_up(connection)
    return sorted([*connection.execute(_IN_TABLES), *connection.new_keys.rows()])
