"""Reading an index, also where this user may not write, as on a read-only file system or in a snapshot of one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mpi.errors import ConfigurationError
from mpi.stores.sqlite.schema import Connection, connect

_LOGS = ("-wal", "-journal")
_FORBIDDEN = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """A connection that changes no data.

    Even readers of a write-ahead log write beside it, to tell who reads. Where that is forbidden a file without a log
    is read as one that nobody changes, which SQLite takes on trust; so it is looked at again afterwards.

    Raises ``sqlite3.Error``, and ``ConfigurationError`` when a log is left that cannot be read here, or somebody has
    changed the file meanwhile.
    """
    may_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    before = _condition(path)
    is_trusting = not may_write and not before.logs
    try:
        with closing(connect(path, read_only=True, immutable=is_trusting)) as connection:
            yield connection
    except sqlite3.OperationalError as error:
        if may_write or not before.logs or error.sqlite_errorcode & 0xFF not in _FORBIDDEN:
            raise
        raise ConfigurationError(
            f"{path} was left without being closed: {before.logs[0]} lies beside it, and this user may not write "
            "there; repeat the command as the user of the service, or copy both and the key to a folder that can be "
            "written and name the copy in MPI_SQLITE_PATH"
        ) from error
    finally:
        if is_trusting and _condition(path) != before:
            raise ConfigurationError(
                f"{path} was changed while it was read by a user who may not write there; repeat the command as the "
                "user of the service"
            )


@dataclass(frozen=True, slots=True)
class _Condition:
    """Another one after a change, or once somebody has begun one."""

    file: tuple[int, int, int]
    logs: tuple[str, ...]


def _condition(path: Path) -> _Condition:
    found = path.stat()
    logs = [path.with_name(path.name + ending) for ending in _LOGS]
    return _Condition(
        (found.st_ino, found.st_size, found.st_mtime_ns),
        tuple(log.name for log in logs if log.exists()),
    )
