"""Backups of a running index, and the way back.

A backup is one file: a snapshot of the database with, if the key was generated beside it, the HMAC key
inside. Files appear under their name only when they are whole, and only their owner may read them.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from mpi.errors import ConfigurationError
from mpi.stores.fingerprint import fingerprint
from mpi.stores.sqlite.files import (
    DRAFT,
    drop_log,
    hold,
    remove_abandoned,
    remove_draft,
    sync_directory,
)
from mpi.stores.sqlite.reading import reading
from mpi.stores.sqlite.rows import SqliteRows
from mpi.stores.sqlite.schema import (
    check_known,
    connect,
    get_meta,
    is_busy,
    is_full,
    set_meta,
    unusable,
)
from mpi.stores.sqlite.stewardship import number_tasks_after

Progress = Callable[[int, int], None]
"""Told how many pages of how many are copied."""

_ENCLOSED_KEY = "enclosed_key"
_PASSED_OVER = 1_000_000
"""Numbers of persons and tasks that may have been told to somebody since the backup was taken."""
_PAGES = 2_000


def key_file(path: Path) -> Path:
    """Where the generated HMAC key of the database at ``path`` lies."""
    return path.with_name(path.name + ".key")


def backup_store(
    path: Path,
    target: Path,
    progress: Progress = lambda _done, _all: None,
    *,
    hmac_key: bytes,
    pages: int = _PAGES,
) -> None:
    """Copy the index at ``path``, which may be in use, to the new file ``target``.

    ``hmac_key`` is enclosed if it lies beside the index. ``pages`` are copied between two calls of ``progress``.

    Raises ``ConfigurationError`` when the source is no index of ours or has another key, or the target exists.
    """
    if target.exists():
        raise ConfigurationError(f"{target} exists already; name a new file for the backup")
    _check_is_file(path)
    with _new_file(target, path) as part:
        _check_key(path, hmac_key)
        _copy(path, part, progress, pages)
        with closing(connect(part)) as copy:
            copy.execute("PRAGMA journal_mode = DELETE")
            if _key_beside(path) == hmac_key:
                set_meta(copy, _ENCLOSED_KEY, hmac_key)


def restore_store(
    backup: Path, path: Path, *, hmac_fingerprint: bytes | None = None, force: bool = False
) -> None:
    """Make the index at ``path`` what it was when ``backup`` was taken.

    Persons and tasks to come get numbers that nobody can have been told before: an mpi_id is never used again.
    The backup is examined before anything is touched. An existing database is replaced only with ``force``, one that
    is in use never.

    Raises:
        ConfigurationError: the backup is damaged, newer than this version or made with another HMAC key
            than the fingerprint tells, the one enclosed or, if none is, the one beside the target; or the target
            exists, is in use or cannot be written.
    """
    _check_is_file(backup)
    key = _examine(backup, hmac_fingerprint, _key_beside(path))
    if path.exists() and not force:
        raise ConfigurationError(
            f"{path} exists already; name a new file, or replace it with --force"
        )
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _nobody_uses(path):
        # The key comes last: while the database is the old one, nothing else could replace its key.
        with _new_key(path, key, backup), _new_file(path, backup) as part:
            _copy(backup, part, lambda _done, _all: None, _PAGES)
            with closing(connect(part)) as copy:
                copy.execute("PRAGMA journal_mode = DELETE")
                _pass_over_numbers(copy)
                # The page that held the key is overwritten.
                copy.execute("PRAGMA secure_delete = ON")
                copy.execute("DELETE FROM meta WHERE name = ?", (_ENCLOSED_KEY,))
        drop_log(path)


def _pass_over_numbers(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE tally SET minted = minted + ?", (_PASSED_OVER,))
    number_tasks_after(connection, SqliteRows(connection).last_task() + _PASSED_OVER)


@contextmanager
def _new_key(path: Path, key: bytes | None, origin: Path) -> Iterator[None]:
    """Put the key, if there is one, beside the database when the block has put that in its place."""
    if key is None:
        yield
        return
    with _new_file(key_file(path), origin) as part:
        part.write_bytes(key)
        yield


def _check_is_file(path: Path) -> None:
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}; name an existing one")


def _key_beside(path: Path) -> bytes | None:
    """What lies where the generated key of the database at ``path`` belongs."""
    try:
        return key_file(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"{key_file(path)} cannot be read ({error.strerror}); make it readable for this user"
        ) from None


def _check_key(path: Path, hmac_key: bytes) -> None:
    try:
        with reading(path) as connection:
            check_known(connection, path)
            known = get_meta(connection, "hmac_fingerprint")
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    if known is None:
        raise ConfigurationError(
            f"{path} lacks the fingerprint of its key; run `mpi stats`, which notes it, then repeat"
        )
    if not hmac.compare_digest(known, fingerprint(hmac_key)):
        raise ConfigurationError(
            f"{path} was made with another HMAC key, without which a backup is worthless; set MPI_HMAC_KEY to that "
            "key, or put its key file back beside the database"
        )


def _examine(backup: Path, hmac_fingerprint: bytes | None, beside: bytes | None) -> bytes | None:
    """The key that the backup brings along. Raises ``ConfigurationError`` as :func:`restore_store` does."""
    try:
        with reading(backup) as connection:
            check_known(connection, backup)
            verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            known = get_meta(connection, "hmac_fingerprint")
            enclosed = get_meta(connection, _ENCLOSED_KEY)
    except sqlite3.Error as error:
        raise unusable(backup, error) from error
    if verdict != "ok":
        raise ConfigurationError(f"{backup} is damaged; restore another backup")
    if known is None:
        raise ConfigurationError(
            f"{backup} lacks the fingerprint of its key; restore another backup"
        )
    if hmac_fingerprint is None:
        key = beside if enclosed is None else enclosed
        hmac_fingerprint = known if key is None else fingerprint(key)
    if not hmac.compare_digest(known, hmac_fingerprint):
        raise ConfigurationError(
            f"{backup} was made with another HMAC key than the one at hand; set MPI_HMAC_KEY to that key"
        )
    # One that is not its own was enclosed by an older version.
    is_its_own = enclosed is not None and hmac.compare_digest(known, fingerprint(enclosed))
    return enclosed if is_its_own else None


def _copy(path: Path, target: Path, progress: Progress, pages: int) -> None:
    try:
        with reading(path) as source, closing(connect(target)) as copy:
            check_known(source, path)
            # An open snapshot: without one, every commit of another process starts the copy anew.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM meta").fetchone()
            source.backup(
                copy, pages=pages, progress=lambda _, left, total: progress(total - left, total)
            )
            source.execute("ROLLBACK")
    except sqlite3.Error as error:
        if _is_of_writing(error):
            raise  # not the fault of what is read: `_new_file` tells where there is no room
        raise unusable(path, error) from error


def _is_of_writing(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0)
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC)


@contextmanager
def _new_file(target: Path, origin: Path) -> Iterator[Path]:
    """A private file that takes the name ``target`` when the block has filled it."""
    remove_abandoned(target)
    try:
        handle, name = tempfile.mkstemp(DRAFT, f".{target.name}.", target.parent)
    except OSError as error:
        raise ConfigurationError(
            f"{target} cannot be written ({error.strerror}); name a file in a writable directory"
        ) from error
    part = Path(name)
    try:
        hold(handle)
        yield part
        os.fsync(handle)
        part.replace(target)
        sync_directory(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(
            f"{origin} could not be copied to {target} ({_reason(error)}); make room or name another place"
        ) from error
    finally:
        remove_draft(part)
        os.close(handle)


def _reason(error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if is_full(error):
        return "the disk there is full"
    return getattr(error, "sqlite_errorname", "") or type(error).__name__


@contextmanager
def _nobody_uses(path: Path) -> Iterator[None]:
    """Hold the database locked; raise when it is open elsewhere."""
    if not path.exists():
        yield
        return
    # Not `connect`: a damaged database, the very reason to restore, would not even open.
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as old:
        try:
            # Leaving write-ahead mode folds the log in and needs the file for oneself.
            old.execute("PRAGMA journal_mode = DELETE")
            old.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if is_busy(error):
                raise ConfigurationError(f"{path} is in use; stop the service first") from error
        yield
