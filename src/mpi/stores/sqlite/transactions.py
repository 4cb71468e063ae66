"""Transactions of one process: one writer, snapshots for readers, and never a blocked event loop.

Calls run inline: a read takes some fifty microseconds, a hop to a thread alone costs a hundred. What
could block for long is not waited for inline: the lock of another process between attempts, with
``asyncio.sleep``, and a disk that has much else to write in a thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from contextvars import ContextVar
from os.path import samestat
from pathlib import Path
from typing import Any, TypeVar

from mpi.errors import StoreUnavailable
from mpi.stores.sqlite.calls import in_thread, patiently, translated
from mpi.stores.sqlite.schema import Connection, connect
from mpi.stores.write_queue import Waiting, WaitingRoom

T = TypeVar("T")

_TOGETHER = 16
"""Changes of one transaction, at most: they are written inline, and each takes up to a millisecond."""


_Body = Callable[[Connection], Any]


class Transactions:
    """A connection that writes and reads, and one that reads while a group of writes is open on the first.

    Whatever a connection has cached of the database it forgets when another one commits. So reads go where
    the commits go, whenever they can. Writes that come together are committed together.

    ``on_rollback`` is called after every rollback, so that nothing read inside survives it. ``disk_is_busy`` says
    whether a commit is to expect other writing, which it would have to wait for.
    """

    def __init__(
        self,
        path: Path,
        on_rollback: Callable[[], None],
        disk_is_busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._path = path
        self._on_rollback = on_rollback
        self._disk_is_busy = disk_is_busy
        self._reader = connect(path, read_only=True)
        self._writer = connect(path)
        self._known = 0
        self._file = path.stat()
        self._write_lock = asyncio.Lock()
        self._room = WaitingRoom[_Body, Any](self._write_together)
        self._is_committing_aside = False
        self._commit_aside = threading.Lock()
        self._group: object | None = None
        # Tells the tasks inside the group, who must see its commits, from all others, who must not.
        self._my_group: ContextVar[object | None] = ContextVar("group", default=None)
        self._glances: dict[str, Any] = {}
        self._closed = False

    @property
    def _in_group(self) -> bool:
        return self._group is not None and self._my_group.get() is self._group

    async def read(self, body: Callable[[Connection], T]) -> T:
        """Run ``body`` on one snapshot; inside a group it sees what the group has committed."""
        self._check_open()
        if self._in_group:
            return translated(lambda: body(self._writer))
        return await patiently(lambda: self._snapshot(body))

    def _snapshot(self, body: Callable[[Connection], T]) -> T:
        connection = self._outside
        connection.execute("BEGIN")
        try:
            return body(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    @property
    def _outside(self) -> Connection:
        """Where to read what is committed: the writing connection may be in the midst of others' changes."""
        if self._is_committing_aside or self._writer.in_transaction:
            return self._reader
        return self._writer

    async def aside(self, body: Callable[[Connection], T]) -> T:
        """Run a long read in a thread, on a connection of its own: the loop goes on meanwhile."""
        if self._in_group:
            return await self.read(body)
        self._check_open()

        def work() -> T:
            with closing(connect(self._path, read_only=True)) as connection:
                return body(connection)

        return await asyncio.to_thread(lambda: translated(work))

    async def look(self, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> Any:
        """The first row of one statement, which is a snapshot by itself; None without rows."""
        self._check_open()
        if self._in_group:
            return translated(lambda: self._writer.execute(statement, values).fetchone())
        try:
            return self._outside.execute(statement, values).fetchone()
        except sqlite3.Error:
            return await patiently(lambda: self._outside.execute(statement, values).fetchone())

    async def glance(self, statement: str) -> Any:
        """As :meth:`look`, once for all who ask in the same turn of the loop.

        What they ask for had arrived when the turn began, so none of them gets to see less than was committed then.
        What this process commits itself is seen at once.
        """
        if self._in_group:
            return await self.look(statement)
        if statement not in self._glances:
            self._glances[statement] = await self.look(statement)
            asyncio.get_running_loop().call_soon(self._glances.clear)
        return self._glances[statement]

    async def stream(
        self, statement: str, rows: int
    ) -> AsyncGenerator[list[tuple[Any, ...]], None]:
        """The rows of a long read in batches: one snapshot, on a connection of its own."""
        self._check_open()
        with closing(connect(self._path, read_only=True)) as connection:
            cursor = await patiently(lambda: connection.execute(statement))
            while batch := translated(lambda: cursor.fetchmany(rows)):
                yield batch
                await asyncio.sleep(0)

    async def write(self, body: Callable[[Connection], T]) -> T:
        """Run ``body`` whole or not at all; durable on return, or inside a group when that ends."""
        self._check_open()
        if self._in_group:
            return self._nested(body)
        result: T = await self._room.wait(body)
        return result

    async def _write_together(self) -> None:
        """In one transaction whatever has come by now: the way to the disk is the longest part of a small change."""
        async with self._write_lock:
            waited, together = len(self._room), list[Waiting[_Body, Any]]()
            outcomes: list[Any]
            try:
                await self._begin()
                together = self._room.leave(_TOGETHER)
                outcomes = [self._outcome(each.what, alone=len(together) == 1) for each in together]
                await self._commit()
            except BaseException as error:  # noqa: BLE001 - for those who wait, not for the writer
                self._rollback()
                # Who came later has waited less for the lock: they get a turn of their own.
                together = together or self._room.leave(waited)
                outcomes = [error] * len(together)
        for waiting, outcome in zip(together, outcomes, strict=True):
            waiting.answer(outcome)

    def _outcome(self, body: Callable[[Connection], T], *, alone: bool) -> T | Exception:
        """What it returns, or what it raised without harm to the others."""
        if alone:
            return translated(lambda: body(self._writer))
        try:
            return self._nested(body)
        except Exception as refusal:  # noqa: BLE001 - raised again where it was asked for
            self._check_group()
            return refusal

    def _nested(self, body: Callable[[Connection], T]) -> T:
        self._check_group()
        known = self._writer.new_keys.last_seq
        self._writer.execute("SAVEPOINT change")
        try:
            return translated(lambda: body(self._writer))
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK TO change")
            else:  # a full disk makes SQLite take back all of it, what came before this change as well
                known = self._known
            self._writer.new_keys.undo(known)
            self._on_rollback()
            raise
        finally:
            if self._writer.in_transaction:
                self._writer.execute("RELEASE change")

    @asynccontextmanager
    async def group(self) -> AsyncIterator[None]:
        """Writes inside become durable together. A group inside a group is part of it."""
        self._check_open()
        if self._in_group:
            yield
            return
        async with self._write_lock:
            await self._begin()
            self._group = mark = object()
            self._my_group.set(mark)
            try:
                yield
                self._check_group()
                await self._commit()
            except BaseException:
                self._rollback()
                raise
            finally:
                self._group = None
                self._my_group.set(None)

    def _check_group(self) -> None:
        """A full disk makes SQLite roll back the whole transaction by itself; the group ends with it."""
        if not self._writer.in_transaction:
            raise StoreUnavailable("the group of changes was given up: none of them is stored")

    def check_file(self) -> None:
        """Raise ``StoreUnavailable`` when the file was moved away or replaced: writes would be lost with it."""
        self._check_open()
        try:
            is_ours = samestat(self._file, self._path.stat())
        except OSError:
            is_ours = False
        if not is_ours:
            raise StoreUnavailable("the database file is no longer where it was opened")

    async def _begin(self) -> None:
        self.check_file()
        try:
            await patiently(lambda: self._writer.execute("BEGIN IMMEDIATE"))
        finally:
            self._known = self._writer.new_keys.last_seq

    async def _commit(self) -> None:
        """Make it durable. A millisecond inline, but ten beside other writing: then the loop goes on meanwhile."""
        self._glances.clear()
        if not self._disk_is_busy():
            translated(lambda: self._writer.execute("COMMIT"))
            return
        self._is_committing_aside = True
        try:
            await in_thread(self._commit_in_thread)
        finally:
            self._is_committing_aside = False
            self._glances.clear()

    def _commit_in_thread(self) -> None:
        with self._commit_aside:
            translated(lambda: self._writer.execute("COMMIT"))

    def _rollback(self) -> None:
        self._writer.new_keys.undo(self._known)
        self._on_rollback()
        # On a failing disk, or after the end, it fails as well; who waits is told of the first error.
        with suppress(sqlite3.Error):
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the database is closed")

    def close(self) -> None:
        """Fold the write-ahead log into the database, as far as other processes allow, and close."""
        if self._closed:
            return
        self._closed = True
        self._reader.close()
        # On a full disk nothing can be folded, and nothing is lost: the log stays for who opens the file next.
        with self._commit_aside, closing(self._writer), suppress(sqlite3.Error):
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
