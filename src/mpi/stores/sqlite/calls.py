"""Calls of SQLite: its locks are waited for, its errors become ours, and what takes long is done in a thread."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from mpi.errors import StoreUnavailable
from mpi.stores.sqlite.schema import is_busy

T = TypeVar("T")

LOCK_DEADLINE = 10.0
# A load lets go of the lock for some ten milliseconds only.
_FIRST_PAUSE, _LAST_PAUSE = 0.001, 0.003


async def in_thread(body: Callable[[], T]) -> T:
    """Run what cannot be broken off, and wait for its end, also when cancelled meanwhile."""
    work = asyncio.get_running_loop().run_in_executor(None, body)
    cancelled = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    result = work.result()
    if cancelled is not None:
        raise cancelled
    return result


async def patiently(body: Callable[[], T]) -> T:
    """Run ``body``, again while another connection holds a lock, until the deadline."""
    pause, deadline = _FIRST_PAUSE, 0.0
    while True:
        try:
            return body()
        except sqlite3.Error as error:
            now = time.monotonic()
            deadline = deadline or now + LOCK_DEADLINE
            if not is_busy(error) or now >= deadline:
                raise _unavailable(error) from error
        # Unequal pauses keep processes that met once from meeting again.
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
        pause = min(pause * 2, _LAST_PAUSE)


def translated(body: Callable[[], T]) -> T:
    """Run ``body``; what SQLite raises becomes ``StoreUnavailable``, but for what is a defect of ours."""
    try:
        return body()
    except sqlite3.IntegrityError:
        # Not a failing store but a change that contradicts the schema.
        raise
    except sqlite3.DatabaseError as error:
        raise _unavailable(error) from error


def _unavailable(error: sqlite3.Error) -> Exception:
    """The error to raise. SQLite's own text is left out: it may quote the statement."""
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return error
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return StoreUnavailable(f"the database cannot be used ({name})")
