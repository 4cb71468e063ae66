"""Looking through the index once before anybody asks, so that no patient waits for a page to be fetched.

The first look at each page of a mapped file costs the system a microsecond, or a read of the disk: for a query, which
touches some eighty, half as much again as finding its candidates. Counting rows walks all pages of a table,
a million records in a quarter of a second.
"""

from __future__ import annotations

import sqlite3
from threading import Timer

LONGEST_S = 3.0
"""A disk that is slower than this is not waited for: the start goes on, and the first queries take longer."""

_COUNTS = (
    "SELECT count(*) FROM blocking_key",
    "SELECT count(*) FROM blocking_recent",
    "SELECT count(*) FROM record NOT INDEXED",
    "SELECT count(*) FROM record INDEXED BY record_person WHERE person NOT NULL",
    "SELECT count(*) FROM person NOT INDEXED",
    "SELECT count(*) FROM record_version NOT INDEXED",
)
"""Everything that is searched for candidates; what tells most per page first."""


def look_through(connection: sqlite3.Connection) -> None:
    """Touch the pages that candidates are read from, by this very connection: every one maps the file anew."""
    limit = Timer(LONGEST_S, connection.interrupt)
    limit.start()
    try:
        for statement in _COUNTS:
            if limit.is_alive():
                connection.execute(statement).fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
    finally:
        limit.cancel()
