"""Folding the write-ahead log into the database beside the work of a service.

SQLite folds the log within the commit that makes it long enough: tens of milliseconds in which the process answers
nobody. In a thread of its own most of it is folded by then, as commits go on meanwhile; what is left is quick. The
commits' own limit stays, for only a moment without writers lets the log begin anew.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

from mpi.stores.sqlite_schema import connect

INTERVAL_S = 0.5
_PARTING_S = 5.0


class Folding(Thread):
    """Folds every half a second, from :meth:`start` to :meth:`stop`."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="mpi-folding", daemon=True)
        self._path = path
        self._stopped = Event()

    def run(self) -> None:
        """See :class:`threading.Thread`."""
        while not self._stopped.wait(INTERVAL_S):
            try:
                with closing(connect(self._path)) as connection:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlite3.Error:
                # Nothing is lost: the log stays as it is. A disk that is full is told by the next commit.
                continue

    def stop(self) -> None:
        """Fold no more. Has to come before the store is closed, which folds what is left."""
        self._stopped.set()
        if self.is_alive():
            self.join(_PARTING_S)
