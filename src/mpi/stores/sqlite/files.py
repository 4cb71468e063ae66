"""What becomes a database under its name: whose its draft is, what lies beside it, what a power cut leaves of it."""

from __future__ import annotations

import fcntl
import glob
import os
from contextlib import suppress
from pathlib import Path

DRAFT = ".draft"


def hold(handle: int) -> bool:
    """Whether the file is this process's now, until it is closed or the process ends, in whatever way."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody else does, or the file system knows no locks
        return False
    return True


def is_held_elsewhere(handle: int) -> bool:
    """As :func:`hold`, but whether another process was faster: where there are no locks, nobody is."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def remove_abandoned(target: Path) -> None:
    """Drafts of ``target`` whose process was killed: they hold patient data.

    They are called ``.name.12345678.draft``; whoever writes one has to :func:`hold` it until it has its name.
    """
    for draft in target.parent.glob(f".{glob.escape(target.name)}.????????{DRAFT}"):
        with suppress(OSError):
            handle = os.open(draft, os.O_RDWR)
            try:
                if hold(handle):
                    remove_draft(draft)
            finally:
                os.close(handle)


def remove_draft(draft: Path) -> None:
    """The draft and what SQLite may have left beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Keep the names in the directory over a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def drop_log(path: Path) -> None:
    """A log left over by another database would be applied to the one that comes in its place."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
