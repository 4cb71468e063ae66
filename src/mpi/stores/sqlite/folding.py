"""Folding the write-ahead log into the database beside the work of a service.

SQLite folds the log within the commit that makes it long enough: tens of milliseconds in which the process answers
nobody. In a thread of its own the log is folded while commits go on. It begins anew once nothing of it is left, and
under steady traffic there is always a page more: so at last, for the few pages that came meanwhile, the thread takes
the lock that writers wait for between their attempts.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

from mpi.stores.sqlite.schema import connect

INTERVAL_S = 0.5

LONG = 4_000
"""Pages, 16 MB, from which on the log is to begin anew."""

_FEW = 64
"""Pages that may come while writers wait: some milliseconds."""
_ROUNDS = 8
"""Each is as long as what came during the one before, which is less and less."""
_PATIENCE_MS = 20
"""How long the lock is asked for, and with it readers of an older state: so long at most writers are kept waiting."""
_PARTING_S = 5.0


class Folding(Thread):
    """Folds every half a second, from :meth:`start` to :meth:`stop`.

    Meanwhile (``is_folding``) the disk has much to write, and a commit waits several times as long for it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(name="mpi-folding", daemon=True)
        self._path = path
        self._stopped = Event()
        self.is_folding = False

    def run(self) -> None:
        """See :class:`threading.Thread`."""
        while not self._stopped.wait(INTERVAL_S):
            try:
                with closing(connect(self._path)) as connection:
                    self.is_folding = True
                    _fold(connection)
            except sqlite3.Error:
                # Nothing is lost: the log stays as it is. A disk that is full is told by the next commit.
                continue
            finally:
                self.is_folding = False

    def stop(self) -> None:
        """Fold no more. Has to come before the store is closed, which folds what is left."""
        self._stopped.set()
        if self.is_alive():
            self.join(_PARTING_S)


def _fold(connection: sqlite3.Connection) -> None:
    """Fold what is there; of a long log the rest as well, with the lock of a writer.

    SQLite tells how long the log was when it began to fold: what came meanwhile is seen in the next round.
    """
    before = 0
    for _ in range(_ROUNDS):
        _, pages, folded = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages < LONG or pages - folded > _FEW:  # short, or kept by a reader of an older state
            return
        if pages - before <= _FEW:
            # Where writers and readers leave no gap, there is a next time.
            connection.execute(f"PRAGMA busy_timeout = {_PATIENCE_MS}")
            connection.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
            return
        before = pages
